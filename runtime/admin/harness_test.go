package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/admin"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// system is router, processor and dispatcher as they are deployed, on the tables
// of a local cloud. Nothing starts by itself: the tests play Lambda.
type system struct {
	t     *testing.T
	cloud *localcloud.Cloud
	db    *dynamodb.Client
	store *dynamo.Store
	admin *admin.Admin
	log   *lines

	router, processor, dispatcher lambda.Handler
}

type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var tables = admin.Tables{Requests: "requests", History: "history"}

func newSystem(t *testing.T, app *streamer.App) *system {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Config{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &system{t: t, cloud: cloud, log: &lines{}}
	s.db = s.client(cloud.Credentials())
	s.store = dynamo.New(s.db, dynamo.Tables{Requests: tables.Requests, History: tables.History})
	s.admin = admin.New(s.db, tables)
	for name, table := range map[string]c.Table{tables.Requests: c.Requests(), tables.History: c.History()} {
		create(t, s.db, name, table)
	}
	if app == nil {
		app = streamer.New()
	}
	for role, into := range map[c.Role]*lambda.Handler{c.RoleRouter: &s.router, c.RoleProcessor: &s.processor, c.RoleDispatcher: &s.dispatcher} {
		make := app.Handler
		if role == c.RoleDispatcher {
			make = streamer.DispatcherHandler
		}
		if *into, err = make(s.host(role)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// client signs with those keys.
func (s *system) client(k localcloud.Credentials) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.cloud.Endpoint()), HTTPClient: s.cloud.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, k.SessionToken),
	})
}

// host has neither queue nor sockets: what is sent there is lost.
func (s *system) host(role c.Role) streamer.Host {
	k := s.cloud.Credentials()
	env := map[string]string{
		c.EnvRole: string(role), c.EnvRequestsTable: tables.Requests, c.EnvHistoryTable: tables.History,
		c.EnvWakeQueueURL: s.cloud.Endpoint() + "/000000000000/none", c.EnvCallbackEndpoint: s.cloud.Endpoint() + "/none",
		c.EnvProcessorFunction: "none", c.EnvAWSEndpoint: s.cloud.Endpoint(), "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": k.AccessKeyID, "AWS_SECRET_ACCESS_KEY": k.SecretAccessKey,
		"AWS_LAMBDA_FUNCTION_NAME": "fn", "AWS_LAMBDA_LOG_GROUP_NAME": "group", "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
	}
	return streamer.Host{Getenv: func(name string) string { return env[name] }, Transport: gone{s.cloud.HTTPClient().Transport}, Log: s.log}
}

// gone answers for every connection that it is closed.
type gone struct{ rest http.RoundTripper }

func (g gone) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/@connections/") {
		return g.rest.RoundTrip(r)
	}
	return &http.Response{
		Status: "410 Gone", StatusCode: http.StatusGone, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"X-Amzn-Errortype": {"GoneException"}}, Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

// with is the system in the hands of another test.
func (s *system) with(t *testing.T) *system {
	other := *s
	other.t = t
	return &other
}

func create(t *testing.T, db *dynamodb.Client, name string, table c.Table) {
	t.Helper()
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	var known []string
	schema := func(hash, hashType, rng, rngType string) (out []types.KeySchemaElement) {
		for _, k := range []struct{ name, kind, role string }{{hash, hashType, "HASH"}, {rng, rngType, "RANGE"}} {
			if k.name == "" {
				continue
			}
			if !slices.Contains(known, k.name) {
				known = append(known, k.name)
				in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &k.name, AttributeType: types.ScalarAttributeType(k.kind)})
			}
			out = append(out, types.KeySchemaElement{AttributeName: &k.name, KeyType: types.KeyType(k.role)})
		}
		return out
	}
	in.KeySchema = schema(table.Hash, "S", table.Range, "S")
	for _, i := range table.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: schema(i.Hash, i.HashType, i.Range, i.RangeType),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		})
	}
	if _, err := db.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request as a user of a tenant and wants it accepted.
func (s *system) ask(key admin.Key, action, payload string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"id":%q,"action":%q,"payload":%s,"metadata":{"from":"test"}}`, key.ID, action, payload)
	event := map[string]any{"body": body, "requestContext": map[string]any{
		"eventType": "MESSAGE", "connectionId": "c1", "connectedAt": time.Now().UnixMilli(), "authorizer": map[string]string{
			"user": key.User, "tenant": key.Tenant, "permissions": `["read"]`, "exp": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10),
		},
	}}
	if out := s.invoke(s.router, event); !bytes.Contains(out, []byte(`acknowledgment`)) {
		s.t.Fatalf("not accepted: %s", out)
	}
}

// run starts what is to be started.
func (s *system) run(key admin.Key) request.Item {
	s.t.Helper()
	it := s.item(key)
	if it.Start != it.Epoch {
		s.t.Fatalf("%s is not to be started: %+v", key, it)
	}
	s.invoke(s.processor, map[string]any{"key": it.Key, "epoch": it.Epoch})
	return s.item(key)
}

// offer makes a request that waits for its next attempt due, and sweeps.
func (s *system) offer(key admin.Key) {
	s.t.Helper()
	past := &types.AttributeValueMemberN{Value: "1"}
	_, err := s.db.UpdateItem(s.t.Context(), &dynamodb.UpdateItemInput{
		TableName: &tables.Requests, Key: map[string]types.AttributeValue{c.AttrPK: &types.AttributeValueMemberS{Value: key.String()}},
		UpdateExpression: aws.String("SET run_at = :p, due_at = :p, #l = :p"), ExpressionAttributeNames: map[string]string{"#l": c.AttrLease},
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": past},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.invoke(s.dispatcher, json.RawMessage(c.SweepEvent))
}

func (s *system) invoke(h lambda.Handler, event any) []byte {
	s.t.Helper()
	raw, err := json.Marshal(event)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := h.Invoke(ctx, raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *system) item(key admin.Key) request.Item {
	s.t.Helper()
	it, found, err := s.store.Get(s.t.Context(), key.String())
	if err != nil || !found {
		s.t.Fatalf("%s: found %v, %v", key, found, err)
	}
	return it
}

// stored is an item as it is.
func (s *system) stored(key admin.Key) map[string]types.AttributeValue {
	s.t.Helper()
	out, err := s.db.GetItem(s.t.Context(), &dynamodb.GetItemInput{
		TableName: &tables.Requests, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{c.AttrPK: &types.AttributeValueMemberS{Value: key.String()}},
	})
	if err != nil || out.Item == nil {
		s.t.Fatalf("%s: %v", key, err)
	}
	return out.Item
}

// put stores a request of any state.
func (s *system) put(table string, item map[string]types.AttributeValue) {
	s.t.Helper()
	if _, err := s.db.PutItem(s.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
		s.t.Fatal(err)
	}
}

// list is every key on the list.
func (s *system) list(f admin.Filter) (all []string) {
	s.t.Helper()
	page, err := s.admin.List(s.t.Context(), f)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range page.Requests {
		all = append(all, r.Key.String())
	}
	return all
}

func (s *system) wantList(want ...string) {
	s.t.Helper()
	if got := s.list(admin.Filter{}); !reflect.DeepEqual(got, want) {
		s.t.Errorf("on the list: %q, want %q", got, want)
	}
}

var errBoom = errors.New("boom: the password is 1234")

// failing has one action, "job", that fails while broken says so; what it was
// given is sent to seen.
func failing(broken func() error, seen func(context.Context, Job), options ...streamer.Option) *streamer.App {
	app := streamer.New()
	streamer.HandleTask(app, "job", func(ctx context.Context, _ *streamer.Task, in Job) (string, error) {
		if seen != nil {
			seen(ctx, in)
		}
		return "done", broken()
	}, options...)
	return app
}

// Job is the input.
type Job struct {
	Text string `json:"text"`
}

func always() error { return streamer.Permanent(errBoom) }

// dies is a request that is dead.
func (s *system) dies(key admin.Key) admin.Key {
	s.t.Helper()
	s.ask(key, "job", `{"text":"a"}`)
	if it := s.run(key); it.State != request.Failed {
		s.t.Fatalf("%s is %s", key, it.State)
	}
	return key
}
