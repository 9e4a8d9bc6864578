package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
)

// Of the system; infra says the rest.
const (
	lease    = 2 * time.Second
	sweeping = 2 * time.Second
	standing = 8 * time.Minute
	ending   = 2 * time.Minute
)

// system is a running system, with ways in that the weather does not reach.
type system struct {
	*devhost.System
	dir      string
	services *proxy // DynamoDB, SQS and Lambda
	callback *proxy // API Gateway: clients' sockets, and what is posted to them

	table, history, queue string
	db                    *dynamodb.Client
	streams               *dynamodbstreams.Client
	sqs                   *sqs.Client

	mu  sync.Mutex // guards log
	log []localcloud.Line
}

func stand(t *testing.T) *system {
	t.Helper()
	s := &system{dir: t.TempDir()}
	config := localcloud.Config{
		Environ: map[string]string{"CHAOS_DIR": s.dir},
		Limits:  localcloud.Limits{ScheduleInterval: sweeping, AsyncRetries: []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}},
		Log: func(l localcloud.Line) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.log = append(s.log, l)
		},
		Listen: listenBehind(func(name string, p *proxy) {
			if t.Cleanup(p.close); name == "aws" {
				s.services = p
			} else {
				s.callback = p
			}
		}),
	}
	ctx, cancel := context.WithTimeout(t.Context(), standing)
	defer cancel()
	var err error
	s.System, err = devhost.Start(ctx, devhost.Options{Dir: ".", Cloud: config, Keys: filepath.Join(s.dir, "keys")})
	if err != nil {
		t.Fatal("stand up the system:", err)
	}
	for _, f := range s.Cloud.Services().Functions.Functions() {
		if env := f.Spec.Env; env[contract.EnvRole] == string(contract.RoleProcessor) {
			s.table, s.history, s.queue = env[contract.EnvRequestsTable], env[contract.EnvHistoryTable], env[contract.EnvWakeQueueURL]
		}
	}
	keys := s.Cloud.Credentials()
	direct := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + *s.services.to.Load()),
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""),
	}
	s.db, s.streams, s.sqs = dynamodb.NewFromConfig(direct), dynamodbstreams.NewFromConfig(direct), sqs.NewFromConfig(direct)
	return s
}

// end closes the system and looks for what is left of it.
func (s *system) end() error {
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return err
		}
	case <-time.After(ending):
		stacks := make([]byte, 1<<20)
		return fmt.Errorf("close: not within %s:\n%s", ending, stacks[:goruntime.Stack(stacks, true)])
	}
	if left := s.processes(""); len(left) > 0 {
		return fmt.Errorf("processes left after Close: %v", left)
	}
	return nil
}

// processes lists the instances of a role's function, of all for "".
func (s *system) processes(role contract.Role) []int {
	variables := []string{"CHAOS_DIR=" + s.dir}
	if role != "" {
		variables = append(variables, "AWS_LAMBDA_FUNCTION_NAME="+s.Function(role))
	}
	pids, _ := processes(variables...)
	return pids
}

// signal sends one and says whether there was anybody to get it.
func signal(pid int, sig syscall.Signal) bool { return syscall.Kill(pid, sig) == nil }

// item is a request as it is stored.
func (s *system) item(ctx context.Context, key string) (image, bool, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{contract.AttrPK: &types.AttributeValueMemberS{Value: key}},
	})
	if err != nil || out.Item == nil {
		return image{}, false, err
	}
	return readImage(out.Item), true, nil
}

// open lists what the index of open requests holds, with their epochs.
func (s *system) open(ctx context.Context) (keys []string, err error) {
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &s.table, IndexName: aws.String(contract.IndexDue)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range out.Items {
			if pk, ok := i[contract.AttrPK].(*types.AttributeValueMemberS); ok {
				keys = append(keys, pk.Value)
			}
		}
	}
	return keys, nil
}

// hint sends a wake message of a request, as it stands. Hints may come at any
// time and any number of times.
func (s *system) hint(ctx context.Context, key string) error {
	i, found, err := s.item(ctx, key)
	if err != nil || !found {
		return err
	}
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &s.queue, MessageBody: aws.String(fmt.Sprintf(`{"key":%q,"epoch":%d}`, key, i.epoch)),
	})
	return err
}

// fill makes the disk that handlers write to full, or empty again.
func (s *system) fill(full bool) error {
	path := filepath.Join(s.dir, "scratch")
	if !full {
		return os.Remove(path)
	}
	next := path + ".next"
	return errors.Join(os.Symlink("/dev/full", next), os.Rename(next, path))
}

// lines returns what was logged with any of the words in it.
func (s *system) lines(words ...string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.log {
		for _, word := range words {
			if strings.Contains(l.Text, word) {
				found = append(found, l.Name+" "+l.Instance+" "+strings.TrimRight(l.Text, "\n"))
				break
			}
		}
	}
	return found
}
