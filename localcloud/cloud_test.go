package localcloud_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
)

func functions(cloud *localcloud.Cloud, keys localcloud.Credentials) *lambda.Client {
	return lambda.New(lambda.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(cloud.Endpoint()), HTTPClient: cloud.HTTPClient(),
		Credentials: provider(keys), RetryMaxAttempts: 1,
	})
}

// Over TCP, with the real Lambda client: a role invokes what it may, and logs
// and the bill say so.
func TestInvokeOverTCP(t *testing.T) {
	t.Parallel()
	lines := make(chan localcloud.Line, 100)
	hello := func(_ context.Context, in localcloud.Instance, payload []byte) ([]byte, error) {
		in.Log("got " + string(payload))
		return payload, nil
	}
	cloud := start(t, localcloud.Config{Funcs: handlers{"hello": hello}.start, Log: func(l localcloud.Line) { lines <- l }})
	fn := function(t, cloud, "hello", "arn:aws:lambda:*:*:function:hello", "lambda:InvokeFunction")
	function(t, cloud, "other", "*")
	keys, err := cloud.RoleCredentials("hello", "test")
	check(t, err)
	client := functions(cloud, keys)
	out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(fn.ARN), Payload: []byte(`{"a":1}`)})
	check(t, err)
	if string(out.Payload) != `{"a":1}` || out.FunctionError != nil {
		t.Errorf("answer %s, %v", out.Payload, out.FunctionError)
	}
	_, err = client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("other")})
	assertDenied(t, err, "assumed-role/hello/test", "lambda:InvokeFunction", "function:other")
	if bill := cloud.Bill(); bill["lambda.requests"] != 1 || bill["lambda.gb-seconds"] <= 0 {
		t.Errorf("bill %v", bill)
	}
	patience := time.After(10 * time.Second)
	for {
		select {
		case l := <-lines:
			if l.Source == "lambda" && l.Name == "hello" && l.Instance != "" && strings.Contains(l.Text, `got {"a":1}`) {
				return
			}
		case <-patience:
			t.Fatal("the function's line is not in the log")
		}
	}
}

// A schedule invokes a function with the rights of its role.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan string, 100)
		sweep := func(_ context.Context, _ localcloud.Instance, payload []byte) ([]byte, error) {
			ran <- string(payload)
			return nil, nil
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"sweep": sweep}.start})
		fn := function(t, cloud, "sweep", "*", "lambda:InvokeFunction")
		function(t, cloud, "powerless", "*")
		for _, role := range []string{"sweep", "powerless"} {
			_, err := cloud.Services().Schedules.Put(scheduler.ScheduleSpec{
				Name: role, Expression: "rate(1 minute)", TargetARN: fn.ARN, RoleName: role, Input: `"` + role + `"`, Enabled: true,
			})
			check(t, err)
		}
		time.Sleep(10*time.Minute + time.Second)
		check(t, cloud.Services().Schedules.Delete("sweep"))
		synctest.Wait()
		close(ran)
		n := 0
		for payload := range ran {
			if n++; payload != `"sweep"` {
				t.Errorf("payload %s", payload)
			}
		}
		if n != 11 || cloud.Bill()["scheduler.invocations"] != 11 {
			t.Errorf("ran %d times, billed %v", n, cloud.Bill()["scheduler.invocations"])
		}
	})
}

// An instance that is killed leaves its invocation without answer, and its
// credentials end with it.
func TestKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make(chan localcloud.Instance, 1)
		hang := func(ctx context.Context, in localcloud.Instance, _ []byte) ([]byte, error) {
			ids <- in
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), localcloud.ErrKilled) {
				t.Errorf("ended by %v", context.Cause(ctx))
			}
			return nil, ctx.Err()
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"hang": hang}.start})
		fn := function(t, cloud, "hang", "*")
		go func() {
			in := <-ids
			if !cloud.Kill(in.ID) {
				t.Errorf("no instance %s", in.ID)
			}
		}()
		out, err := functions(cloud, cloud.Credentials()).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(fn.Name)})
		check(t, err)
		if aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), "Runtime.ExitError") {
			t.Errorf("answer %s, %v", out.Payload, out.FunctionError)
		}
		if cloud.Kill("nobody") {
			t.Error("killed an instance that is not there")
		}
	})
}

func TestStartAndClose(t *testing.T) {
	t.Parallel()
	broken := errors.New("no ports left")
	if _, err := localcloud.Start(localcloud.Config{Listen: func(string) (net.Listener, error) { return nil, broken }}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	cloud, err := localcloud.Start(localcloud.Config{})
	check(t, err)
	address := strings.TrimPrefix(cloud.Endpoint(), "http://")
	c, err := cloud.Dial(t.Context(), "tcp", address)
	check(t, err)
	_ = c.Close()
	check(t, cloud.Close())
	check(t, cloud.Close())
	if c, err := cloud.Dial(t.Context(), "tcp", address); err == nil {
		_ = c.Close()
		t.Error("the endpoint is still open")
	}
}
