package devhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/streamer-go/streamer/internal/contract"
)

// Running is how other programs on this machine reach a running system.
type Running struct {
	PID             int    `json:"pid"`
	URL             string `json:"url"`
	Endpoint        string `json:"endpoint"` // of every AWS service
	Region          string `json:"region"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token,omitempty"`
	// Streamers are those that the program has declared.
	Streamers []Names `json:"streamers"`
}

// Names are the names of what one Streamer keeps its requests in.
type Names struct {
	Router   string `json:"router"` // the function, which tells one Streamer from another
	Requests string `json:"requests_table"`
	History  string `json:"history_table"`
	Bucket   string `json:"bucket,omitempty"`
}

const runningFile = "dev.json"

// Running describes the system as it is now.
func (s *System) Running() Running {
	keys := s.Cloud.Credentials()
	r := Running{
		PID: os.Getpid(), URL: s.URL, Endpoint: s.Cloud.Endpoint(), Region: "us-east-1",
		AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken,
	}
	for _, f := range s.Cloud.Services().Functions.Functions() {
		env := f.Spec.Env
		if env[contract.EnvRole] == string(contract.RoleRouter) {
			r.Streamers = append(r.Streamers, Names{
				Router: f.Name, Requests: env[contract.EnvRequestsTable], History: env[contract.EnvHistoryTable], Bucket: env[contract.EnvBucket],
			})
		}
	}
	return r
}

// Announce writes down how the system is reached, beside its keys and readable
// by their owner alone, until it is closed. Announce again after an Update.
func (s *System) Announce() error {
	raw, err := json.MarshalIndent(s.Running(), "", "  ")
	if err != nil {
		return fmt.Errorf("announce system: %w", err)
	}
	path := filepath.Join(s.home, runningFile)
	// Written aside and renamed: nobody reads a half.
	f, err := os.CreateTemp(s.home, "new-") // 0600
	if err != nil {
		return fmt.Errorf("announce system: %w", err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error is what counts
		return fmt.Errorf("announce system: %w", err)
	}
	s.announced = raw
	return nil
}

// withdraw takes back what was announced, unless another system has announced
// itself since.
func (s *System) withdraw() error {
	if s.announced == nil {
		return nil
	}
	path := filepath.Join(s.home, runningFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(raw, s.announced) {
		return nil
	}
	return errors.Join(err, os.Remove(path))
}

// Config is that of AWS clients which reach the system.
func (r *Running) Config() aws.Config {
	return aws.Config{
		Region: r.Region, BaseEndpoint: &r.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(r.AccessKeyID, r.SecretAccessKey, r.SessionToken),
	}
}

// FindRunning reads what a system of the program in dir has announced. It is
// nil where none runs, or no longer.
func FindRunning(ctx context.Context, dir string) (*Running, error) {
	path := filepath.Join(dir, ".streamer", runningFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find running system: %w", err)
	}
	var r Running
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w; remove the file", path, err)
	}
	if there, err := r.answers(ctx); !there || err != nil {
		return nil, err
	}
	return &r, nil
}

// answers says whether that system is still there. One that was killed has left its
// file behind, and its port may be another program's by now, or another system's:
// only the one that was announced knows these keys and has these tables.
func (r *Running) answers(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	db := dynamodb.NewFromConfig(r.Config(), func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	out, err := db.ListTables(ctx, &dynamodb.ListTablesInput{})
	if ctx.Err() != nil {
		return false, fmt.Errorf("find running system: %s does not answer: %w", r.Endpoint, err)
	}
	return err == nil && !slices.ContainsFunc(r.Streamers, func(s Names) bool { return !slices.Contains(out.TableNames, s.Requests) }), nil
}
