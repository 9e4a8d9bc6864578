package e2e_test

import (
	"bytes"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// withheld is a right that a role is not given, what the log says then, and
// what fails.
type withheld struct {
	right string
	log   []string
	then  func(t *testing.T, s *system)
}

// Each right is needed: without it something fails that was promised. Rights are
// withheld together from one system where each shows for itself.
func TestEachRightIsNeeded(t *testing.T) {
	t.Parallel()
	slots := map[string]string{"tenantConcurrency": "100"}
	for name, tt := range map[string]struct {
		config map[string]string
		rights []withheld
	}{
		"reading together": {slots, []withheld{
			{"e2e-router dynamodb:BatchGetItem", []string{"dynamodb:BatchGetItem", ":table/e2e-requests", ":assumed-role/e2e-router"}, syncFails},
			{"e2e-router dynamodb:Query table/e2e-history", []string{"dynamodb:Query", ":table/e2e-history", ":assumed-role/e2e-router"}, piecesFail},
			{"e2e-router execute-api:ManageConnections /POST/", []string{"not authorized", "execute-api:ManageConnections", "/POST/@connections/", ":assumed-role/e2e-router"}, cancelIsNotPushed},
			{"e2e-processor dynamodb:ConditionCheckItem", []string{"dynamodb:ConditionCheckItem", ":table/e2e-requests", ":assumed-role/e2e-processor"}, stepIsNotStored},
			{"e2e-processor s3:ListBucket", []string{"s3:ListBucket", ":assumed-role/e2e-processor"}, inputIsGone},
			{"e2e-dispatcher dynamodb:DeleteItem", []string{"dynamodb:DeleteItem", ":table/e2e-connections", ":assumed-role/e2e-dispatcher"}, longSucceeds},
		}},
		"lists and objects": {slots, []withheld{
			{"e2e-router dynamodb:Query /index/owner", []string{"dynamodb:Query", "/index/owner", ":assumed-role/e2e-router"}, listFails},
			{"e2e-router s3:GetObject", []string{"s3:GetObject", ":assumed-role/e2e-router"}, uploadIsNotRead},
			{"e2e-processor dynamodb:Query", []string{"dynamodb:Query", ":table/e2e-history", ":assumed-role/e2e-processor"}, stepsAreNotRead},
			{"e2e-processor s3:PutObject", []string{"s3:PutObject", ":assumed-role/e2e-processor"}, resultIsNotStored},
			{"e2e-dispatcher dynamodb:Query /index/lane", []string{"dynamodb:Query", "/index/lane", ":assumed-role/e2e-dispatcher"}, longSucceeds},
		}},
		"counts": {map[string]string{"maxOpenPerUser": "1000", "tenantRate": "1000"}, []withheld{
			// Where counts fail, messages pass.
			{"e2e-router dynamodb:Query /index/open", []string{"dynamodb:Query", "/index/open", ":assumed-role/e2e-router"}, longSucceeds},
			{"e2e-router dynamodb:UpdateItem table/e2e-connections", []string{"dynamodb:UpdateItem", ":table/e2e-connections", ":assumed-role/e2e-router"}, longSucceeds},
			{"e2e-router s3:ListBucket", []string{"s3:ListBucket", ":assumed-role/e2e-router"}, noUpload},
			{"e2e-processor s3:GetObject", []string{"s3:GetObject", ":assumed-role/e2e-processor"}, inputIsNotRead},
		}},
		"taking slots": {slots, []withheld{
			{"e2e-dispatcher dynamodb:UpdateItem table/e2e-connections", []string{"dynamodb:UpdateItem", ":table/e2e-connections", ":assumed-role/e2e-dispatcher"}, longWaits},
			{"e2e-router s3:PutObject", []string{"s3:PutObject", ":assumed-role/e2e-router"}, uploadIsRefused},
		}},
		"listing slots": {slots, []withheld{
			{"e2e-dispatcher dynamodb:Query table/e2e-connections", []string{"dynamodb:Query", ":table/e2e-connections", ":assumed-role/e2e-dispatcher"}, longWaits},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []string
			for _, w := range tt.rights {
				all = append(all, w.right)
			}
			s := own(t, func(o *devhost.Options) {
				o.Config = map[string]string{"withhold": strings.Join(all, ";")}
				maps.Copy(o.Config, tt.config)
			})
			for _, w := range tt.rights {
				t.Run(w.right, func(t *testing.T) {
					w.then(t, s)
					eventually(t, "the log names the call", patience, func() bool {
						return s.log.find(append([]string{"not authorized to perform"}, w.log...)...) != ""
					})
				})
			}
		})
	}
}

func syncFails(t *testing.T, s *system) {
	refused(t, s.connect(t, "u"), client.Message{Action: wire.ActionSync, Payload: map[string]any{
		"requests": []any{map[string]string{"request_id": "r"}},
	}}, wire.CodeUnavailable)
}

func listFails(t *testing.T, s *system) {
	refused(t, s.connect(t, "u"), client.Message{Action: wire.ActionList}, wire.CodeUnavailable)
}

func longSucceeds(t *testing.T, s *system) {
	call(t, s.connect(t, "long"), long(""), nil)
}

// longWaits is accepted, and not started.
func longWaits(t *testing.T, s *system) {
	s.raw(t, "waits").accept(`{"id":"r","action":"fail","payload":{}}`)
	if got := get(t, s.connect(t, "waits"), "r"); got.Status != wire.StatusPending || got.Attempt != 0 {
		t.Errorf("stored is %+v", got)
	}
}

// piecesFail hears of the request, and not what it has emitted.
func piecesFail(t *testing.T, s *system) {
	conn := s.connect(t, "pieces")
	call(t, conn, client.Message{ID: "r", Action: "write", Payload: app.March{Units: 3, Milliseconds: 1}}, nil)
	got := positions(t, conn, wire.ActionResume, map[string]any{"request_id": "r", "partials": 0})
	if len(got) != 1 || got[0].Status != "" || got[0].Error == nil || got[0].Error.Code != wire.CodeUnavailable {
		t.Errorf("$resume says %+v", got)
	}
}

// cancelIsNotPushed: it is cancelled, but who follows it is not told.
func cancelIsNotPushed(t *testing.T, s *system) {
	conn, r := s.connect(t, "push"), s.raw(t, "push")
	r.accept(`{"id":"r","action":"later","payload":{"ms":600000}}`)
	eventually(t, "the first attempt ends", patience, func() bool {
		got := get(t, conn, "r")
		return got.Attempt == 1 && got.Status == wire.StatusPending
	})
	s.wantCancel(t, "push", "r", wire.StatusCancelled)
	r.send(`{"id":"after","action":"$ping"}`)
	if f := r.next(); f.RequestID != "after" {
		t.Errorf("it was told %+v", f)
	}
}

func stepIsNotStored(t *testing.T, s *system) {
	refused(t, s.connect(t, "step"), client.Message{ID: "r", Action: "stages", Payload: app.March{Units: 1}}, wire.CodeInternal)
}

func stepsAreNotRead(t *testing.T, s *system) {
	refused(t, s.connect(t, "steps"), client.Message{ID: "r", Action: "stages", Payload: app.March{Units: 2, FailAfter: 1}}, wire.CodeInternal)
	if got := firsts(t, s.noted(t, "r")); len(got) != 1 {
		t.Errorf("steps that ran: %v", got)
	}
}

// Larger than what a message takes, and than what a table does.
const large = 400 << 10

func uploaded(t *testing.T, s *system, user string, m client.Message) error {
	t.Helper()
	_, err := s.session(t, user).Call(bounded(t), m, nil)
	return err
}

func wantCode(t *testing.T, err error, code wire.Code) {
	t.Helper()
	var refusal *wire.Error
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func uploadIsNotRead(t *testing.T, s *system) {
	session := s.session(t, "upload")
	ref, err := session.Upload(bounded(t), app.Echo{Text: "a"})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, s.connect(t, "upload"), client.Message{Action: "length.long", Ref: ref}, wire.CodeUnavailable)
}

// uploadIsRefused: what a client may upload is what the router may write, which
// also stores large inputs itself.
func uploadIsRefused(t *testing.T, s *system) {
	session := s.session(t, "upload")
	_, err := session.Upload(bounded(t), app.Echo{Text: "a"})
	if err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("the upload: %v", err)
	}
	conn := s.connect(t, "upload")
	payload := []byte(`{"text":"` + strings.Repeat("x", large) + `"}`)
	var place struct {
		Ref string `json:"payload_ref"`
		URL string `json:"url"`
	}
	read(t, call(t, conn, client.Message{Action: wire.ActionUpload, Payload: map[string]int{"size": len(payload)}}, nil).Data, &place)
	at, err := url.Parse(place.URL)
	if err != nil {
		t.Fatal(err)
	}
	objects, bucket := s.objects()
	_, key, _ := strings.Cut(at.Path, bucket+"/")
	if _, err := objects.PutObject(bounded(t), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(payload)}); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Call(bounded(t), client.Message{Action: "length.long", Ref: place.Ref}, nil)
	wantCode(t, err, wire.CodeUnavailable)
}

// noUpload: that there is none cannot be told from one that may not be read.
func noUpload(t *testing.T, s *system) {
	refused(t, s.connect(t, "u"), client.Message{Action: "length.long", Ref: "NOSUCHUPLOAD"}, wire.CodeUnavailable)
}

func inputIsNotRead(t *testing.T, s *system) {
	wantCode(t, uploaded(t, s, "input", client.Message{Action: "length.long", Payload: app.Echo{Text: strings.Repeat("x", large)}}), wire.CodeInternal)
}

func resultIsNotStored(t *testing.T, s *system) {
	refused(t, s.connect(t, "result"), client.Message{Action: "large.long", Payload: app.Large{Bytes: large}}, wire.CodeInternal)
}

// inputIsGone deletes an input between two attempts.
func inputIsGone(t *testing.T, s *system) {
	ended := make(chan error, 1)
	session := s.session(t, "gone")
	go func() {
		_, err := session.Call(bounded(t), client.Message{ID: "gone", Action: "later", Payload: app.Later{Milliseconds: 5000, Text: strings.Repeat("x", large)}}, nil)
		ended <- err
	}()
	eventually(t, "the first attempt ends", patience, func() bool { return len(s.noted(t, "gone")) == 1 })
	s.empty(t)
	if err := <-ended; err == nil {
		t.Error("it succeeded without its input")
	}
}

// objects is a client of S3 with the account's own keys, and the bucket.
func (s *system) objects() (objects *s3.Client, bucket string) {
	for _, f := range s.Cloud.Services().Functions.Functions() {
		if name := f.Spec.Env[contract.EnvBucket]; name != "" {
			bucket = name
		}
	}
	keys := s.Cloud.Credentials()
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Cloud.Endpoint()), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	}), bucket
}

// empty deletes all objects.
func (s *system) empty(t *testing.T) {
	t.Helper()
	objects, bucket := s.objects()
	all, err := objects.ListObjectsV2(bounded(t), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Contents) == 0 {
		t.Fatal("there is no object")
	}
	for _, o := range all.Contents {
		if _, err := objects.DeleteObject(bounded(t), &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
			t.Fatal(err)
		}
	}
}
