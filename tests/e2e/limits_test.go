package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// of opens a connection as a user of a tenant.
func (s *system) of(t *testing.T, tenant, user string) *client.Conn {
	t.Helper()
	token, err := s.Keys.Token(user, tenant, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(bounded(t), s.URL, token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test has ended
	return conn
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := own(t, func(o *devhost.Options) {
		o.Config = map[string]string{"maxOpenPerUser": "3", "maxOpenPerTenant": "4", "tenantConcurrency": "1", "tenantRate": "10"}
	})
	t.Run("open requests and slots", func(t *testing.T) { s.fillTenant(t) })
	t.Run("messages", func(t *testing.T) { s.floodTenant(t) })
	t.Run("rights", func(t *testing.T) { s.wantNarrow(t) })
}

// background sends a request that is acknowledged and awaited by nobody but the
// channel: its end.
func background(t *testing.T, conn *client.Conn, m client.Message) <-chan error {
	t.Helper()
	accepted, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := conn.Call(t.Context(), m, func(wire.Frame) { once.Do(func() { close(accepted) }) })
		once.Do(func() { close(accepted) })
		ended <- err
	}()
	<-accepted
	return ended
}

func (s *system) fillTenant(t *testing.T) {
	ann, bob, other := s.of(t, "acme", "ann"), s.of(t, "acme", "bob"), s.of(t, "other", "ann")
	hold := func(id string) client.Message {
		return client.Message{ID: id, Action: "hold", Payload: app.Hold{Until: "limits-go"}}
	}
	first := background(t, ann, hold("limit-1"))
	eventually(t, "the first is at work", patience, func() bool {
		rest()
		return get(t, ann, "limit-1").Status == wire.StatusProcessing
	})
	second := background(t, ann, client.Message{ID: "limit-2", Action: "count", Payload: app.Sleep{Milliseconds: 10}})
	third := background(t, ann, client.Message{ID: "limit-3", Action: "count", Payload: app.Sleep{Milliseconds: 10}})
	for _, id := range []string{"limit-2", "limit-3"} {
		eventually(t, id+" waits for its tenant", patience, func() bool { return waiting(t, ann, id) == "tenant" })
	}
	if e, f := refused(t, ann, hold("limit-4"), wire.CodeRateLimited); !e.Retryable || !e.SameID || f.Placed {
		t.Errorf("one too many of a user: %+v", f)
	}
	bobs := background(t, bob, client.Message{ID: "limit-5", Action: "count", Payload: app.Sleep{Milliseconds: 10}})
	eventually(t, "limit-5 waits for its tenant", patience, func() bool { return waiting(t, bob, "limit-5") == "tenant" })
	refused(t, bob, hold("limit-6"), wire.CodeRateLimited)
	// What is open is answered as ever, and another tenant does not notice.
	if status := cancelled(t, ann, "limit-3"); status != wire.StatusCancelled {
		t.Errorf("$cancel of one that has not begun: %s", status)
	}
	var refusal *wire.Error
	if err := <-third; !errors.As(err, &refusal) || refusal.Code != wire.CodeCancelled {
		t.Errorf("the cancelled one ended with %v", err)
	}
	call(t, other, client.Message{Action: "count", Payload: app.Sleep{Milliseconds: 10}}, nil)

	s.touch(t, "limits-go")
	for name, ended := range map[string]<-chan error{"first": first, "second": second, "bob's": bobs} {
		if err := <-ended; err != nil {
			t.Errorf("the %s ended with %v", name, err)
		}
	}
	if n, _ := s.attempts(t, "limit-3"); len(n) > 0 {
		t.Errorf("the cancelled one ran: %v", n)
	}
	eventually(t, "there is room again", patience, func() bool {
		rest()
		_, err := ann.Call(bounded(t), hold("limit-4"), nil)
		return err == nil
	})
}

// rest keeps a test from using up what its tenant may send.
func rest() { <-time.After(200 * time.Millisecond) }

func waiting(t *testing.T, conn *client.Conn, id string) string {
	t.Helper()
	rest()
	var e entry
	read(t, call(t, conn, client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": id}}, nil).Data, &e)
	return e.Waiting
}

func cancelled(t *testing.T, conn *client.Conn, id string) string {
	t.Helper()
	var e entry
	read(t, call(t, conn, client.Message{Action: wire.ActionCancel, Payload: map[string]string{"request_id": id}}, nil).Data, &e)
	return e.Status
}

// floodTenant sends more than a tenant may: a hundred in ten seconds.
func (s *system) floodTenant(t *testing.T) {
	flood, calm := s.of(t, "flood", "u"), s.of(t, "calm", "u")
	var mu sync.Mutex // guards passed, limited
	passed, limited := 0, 0
	for limited == 0 && passed < 1000 {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				f, err := flood.Call(bounded(t), client.Message{Action: "echo", Payload: app.Echo{Text: "a"}}, nil)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					passed++
				case f.Code == wire.CodeRateLimited && f.Retryable && f.SameID:
					limited++
				default:
					t.Errorf("%+v, %v", f, err)
				}
			})
		}
		wg.Wait()
	}
	if limited == 0 || passed < 80 {
		t.Errorf("%d passed, %d did not", passed, limited)
	}
	call(t, calm, client.Message{Action: "echo", Payload: app.Echo{Text: "a"}}, nil)
	call(t, flood, client.Message{Action: wire.ActionPing}, nil)
}

// as makes a client of DynamoDB with what an instance of a role has in its hands.
func (s *system) as(t *testing.T, role contract.Role) *dynamodb.Client {
	t.Helper()
	pids := s.processes(s.Function(role))
	if len(pids) == 0 {
		t.Fatalf("there is no instance of %s", role)
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pids[0]) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for v := range strings.SplitSeq(string(raw), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return dynamodb.New(dynamodb.Options{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env[contract.EnvAWSEndpoint]), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"]),
	})
}

// wantNarrow wants router and dispatcher to touch nothing of the table of
// connections but what they count there.
func (s *system) wantNarrow(t *testing.T) {
	s.connect(t, "narrow") // is an item of the table
	table := ""
	for _, f := range s.Cloud.Services().Functions.Functions() {
		if name := f.Spec.Env[contract.EnvConnectionsTable]; name != "" {
			table = name
		}
	}
	key := func(pk string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: "x"}}
	}
	calls := map[string]func(ctx context.Context, db *dynamodb.Client, pk string) error{
		"GetItem": func(ctx context.Context, db *dynamodb.Client, pk string) error {
			_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key(pk)})
			return err
		},
		"PutItem": func(ctx context.Context, db *dynamodb.Client, pk string) error {
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: key(pk)})
			return err
		},
		"UpdateItem": func(ctx context.Context, db *dynamodb.Client, pk string) error {
			_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: key(pk)})
			return err
		},
		"DeleteItem": func(ctx context.Context, db *dynamodb.Client, pk string) error {
			_, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: key(pk)})
			return err
		},
		"Query": func(ctx context.Context, db *dynamodb.Client, pk string) error {
			_, err := db.Query(ctx, &dynamodb.QueryInput{
				TableName: &table, KeyConditionExpression: aws.String("pk = :p"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: pk}},
			})
			return err
		},
		"Scan": func(ctx context.Context, db *dynamodb.Client, _ string) error {
			_, err := db.Scan(ctx, &dynamodb.ScanInput{TableName: &table})
			return err
		},
	}
	mine := map[contract.Role]string{
		contract.RoleRouter:     "#rate/ UpdateItem",
		contract.RoleDispatcher: "#slots/ UpdateItem DeleteItem Query",
	}
	for role, may := range mine {
		db := s.as(t, role)
		for _, pk := range []string{"-/narrow", "#rate/acme", "#slots/acme"} {
			for name, do := range calls {
				prefix, actions, _ := strings.Cut(may, " ")
				allowed := strings.HasPrefix(pk, prefix) && strings.Contains(fmt.Sprint(" ", actions, " "), " "+name+" ")
				err := do(bounded(t), db, pk)
				var api smithy.APIError
				denied := errors.As(err, &api) && api.ErrorCode() == "AccessDeniedException"
				if allowed && err != nil || !allowed && !denied {
					t.Errorf("%s, %s of %s: %v; allowed is %t", role, name, pk, err, allowed)
				}
			}
		}
	}
}
