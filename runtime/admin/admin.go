// Package admin is for operators: it lists the requests that failed for good,
// tells the story of their attempts, and repeats or drops them. Programs use it
// with their own AWS credentials; "streamer dead" is one of them.
//
// What it needs of IAM: on the table of requests GetItem, BatchGetItem,
// UpdateItem and PutItem, and Query on its index lane; on the table of history
// Query, GetItem and PutItem. With WithBucket also GetObject and PutObject there.
//
// An Admin is safe for concurrent use. It imports neither Pulumi nor the
// functions.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/objects"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Errors of requests that cannot be handled as asked. They are wrapped: compare
// with errors.Is.
var (
	// ErrNotFound: there is no such request, or no longer.
	ErrNotFound = errors.New("there is no such request")
	// ErrNotDead: the request has not failed for good, or was redriven or dropped.
	ErrNotDead = errors.New("the request is not on the list of the dead")
	// ErrNoInput: what the request was asked to do is not stored any more.
	ErrNoInput = errors.New("its input is gone")
)

// Tables are names of the tables of a system.
type Tables struct{ Requests, History string }

// Admin handles the requests of one system.
type Admin struct {
	store store
	nonce func() string
}

type store struct {
	*dynamo.Store
	*bucket
}

// bucket is a name of its own, for the other half of store is called Store.
type bucket = objects.Store

// Option changes what New makes.
type Option func(*Admin)

// WithBucket names the bucket of large inputs, where a system has one. Without
// it a request with a large input cannot be redriven.
func WithBucket(client *s3.Client, name string) Option {
	return func(a *Admin) { a.store.bucket = objects.New(client, name) }
}

// New handles the requests in those tables. Nothing is called here.
func New(db *dynamodb.Client, tables Tables, options ...Option) *Admin {
	a := &Admin{
		store: store{dynamo.New(db, dynamo.Tables{Requests: tables.Requests, History: tables.History}), &objects.Store{}},
		nonce: nonce,
	}
	for _, o := range options {
		o(a)
	}
	return a
}

// Key names a request. Tenant may be empty.
type Key struct {
	Tenant string `json:"tenant,omitempty"`
	User   string `json:"user"`
	ID     string `json:"id"`
}

// String is the key as logs show it: tenant/user/id, each part percent-encoded,
// and - for no tenant.
func (k Key) String() string { return keys.Request(k.Tenant, k.User, k.ID) }

// ParseKey reads what String writes.
func ParseKey(s string) (Key, error) {
	tenant, user, id, err := keys.Parse(s)
	if err == nil && (user == "" || id == "") {
		err = fmt.Errorf("parse key %q: want tenant/user/id", s)
	}
	return Key{tenant, user, id}, err
}

// Request is a request as it is now.
type Request struct {
	Key
	Action string `json:"action"`
	// Status is PENDING, PROCESSING, SUCCEEDED, FAILED or CANCELLED.
	Status string `json:"status"`
	// Waiting says why a request that could be started is not: tenant, paused.
	Waiting string `json:"waiting,omitempty"`
	// Attempt counts those that were begun, of Max that are allowed.
	Attempt  int       `json:"attempt"`
	Max      int       `json:"max_attempts"`
	Created  time.Time `json:"created_at"`
	Deadline time.Time `json:"deadline"`
	// Died is when it failed for good; zero for one that is not on the list.
	Died time.Time `json:"died_at,omitzero"`
	// Kept is until when it can be asked for, and redriven.
	Kept time.Time `json:"retained_until"`
	// Error is what its owner was told; nil where nothing has failed.
	Error *Failure `json:"error,omitempty"`
	// Redrives is the id of the request that this one repeats.
	Redrives string `json:"redrives,omitempty"`
}

// Failure is an error as clients are told it.
type Failure struct {
	Code      string          `json:"code"`
	Message   string          `json:"message"`
	Details   json.RawMessage `json:"details,omitempty"`
	Retryable bool            `json:"retryable"`
}

// dead says whether the item is on the list.
func dead(it request.Item) bool { return it.State == request.Failed && it.LaneAt > 0 }

func describe(it request.Item) (Request, error) {
	key, err := ParseKey(it.Key)
	if err != nil {
		return Request{}, err
	}
	r := Request{
		Key: key, Action: it.Action, Status: string(it.State), Waiting: it.Waiting, Attempt: int(it.Attempt), Max: int(it.Max),
		Created: at(it.CreatedAt), Deadline: at(it.Deadline), Kept: time.Unix(it.Retained, 0).UTC(), Redrives: it.Redrives,
	}
	if dead(it) {
		r.Died = at(it.LaneAt)
	}
	if f := it.Failure; f != nil && it.State != request.Succeeded {
		r.Error = &Failure{Code: f.Code, Message: f.Message, Retryable: f.Retryable}
		if f.Details != "" {
			r.Error.Details = json.RawMessage(f.Details)
		}
	}
	return r, nil
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// get reads a request; ErrNotFound for none, and for the mark of one that was
// cancelled before it came.
func (a *Admin) get(ctx context.Context, verb string, key Key) (request.Item, error) {
	it, found, err := a.store.Get(ctx, key.String())
	if err != nil {
		return it, fmt.Errorf("%s %s: %w", verb, key, err)
	}
	if !found || it.Action == "" {
		return it, fmt.Errorf("%s %s: %w", verb, key, ErrNotFound)
	}
	return it, nil
}

// Find lists the keys of the dead requests with that id: ids are their users'
// own. It looks at the whole list, but reads no request.
func (a *Admin) Find(ctx context.Context, id string) ([]Key, error) {
	var found []Key
	w := a.walk(window{until: endOfTime})
	for {
		d, ok, err := w.next(ctx)
		if err != nil || !ok {
			return found, err
		}
		if key, err := ParseKey(d.Key); err == nil && key.ID == id {
			found = append(found, key)
		}
	}
}
