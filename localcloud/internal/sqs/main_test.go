package sqs_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/memnet"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// cloud is a Service and the SDK's client of it. Signatures are not verified:
// every call is the root's, or the role's when one is given.
type cloud struct {
	*sqs.Service
	sdk *sdk.Client
}

func newCloud(t *testing.T, caller account.Caller, authorizer account.Authorizer) *cloud {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("sqs")
	check(t, err)
	c := &cloud{}
	base := "http://" + listener.Addr().String()
	c.Service = sqs.New(sqs.Options{BaseURL: base, Authorizer: authorizer})
	server := &http.Server{
		Handler:     c.Service,
		BaseContext: func(net.Listener) context.Context { return account.WithCaller(context.Background(), caller) },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: network.Dial}}
	c.sdk = sdk.New(sdk.Options{
		Region: account.Region, BaseEndpoint: aws.String(base), HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""), RetryMaxAttempts: 1,
	})
	t.Cleanup(func() {
		c.Close()
		client.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	return c
}

func (c *cloud) put(t *testing.T, spec sqs.QueueSpec) sqs.QueueInfo {
	t.Helper()
	info, err := c.PutQueue(spec)
	check(t, err)
	return info
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks the code that the SDK reports.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("error %v, want code %s", err, code)
	}
}

// send sends with a delay: -1 is none asked for, but zero; -2 is the queue's.
func send(t *testing.T, c *cloud, q sqs.QueueInfo, body string, delay int) string {
	t.Helper()
	d := time.Duration(max(delay, 0)) * time.Second
	if delay == -2 {
		d = -1
	}
	id, err := c.Send(account.WithCaller(t.Context(), account.Root()), q.ARN, body, d, nil)
	check(t, err)
	return id
}

// receive returns a message or nil; a wait of -1 is the queue's.
func receive(t *testing.T, c *cloud, q sqs.QueueInfo, wait int32) *types.Message {
	t.Helper()
	input := &sdk.ReceiveMessageInput{QueueUrl: &q.URL, WaitTimeSeconds: min(max(wait, 0), 20), MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}
	got, err := c.sdk.ReceiveMessage(t.Context(), input)
	check(t, err)
	if len(got.Messages) == 0 {
		return nil
	}
	return &got.Messages[0]
}

func wantCounts(t *testing.T, c *cloud, q sqs.QueueInfo, visible, inFlight, delayed int) {
	t.Helper()
	info, ok := c.Queue(q.URL)
	if !ok || info.Visible != visible || info.InFlight != inFlight || info.Delayed != delayed {
		t.Errorf("visible %d, in flight %d, delayed %d; want %d, %d, %d", info.Visible, info.InFlight, info.Delayed, visible, inFlight, delayed)
	}
}
