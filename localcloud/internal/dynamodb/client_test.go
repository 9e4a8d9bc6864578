package dynamodb_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sdkstreams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// cloud is a service with the real clients of AWS in front of it.
type cloud struct {
	*dynamodb.Service
	db      *sdk.Client
	streams *sdkstreams.Client
	meter   *meter
}

// newCloud starts a service that the test's end closes. Its clients are the
// account's root, unless the context says otherwise.
func newCloud(t testing.TB, options dynamodb.Options) *cloud {
	t.Helper()
	c := &cloud{meter: &meter{}}
	options.Meter = c.meter
	c.Service = dynamodb.New(options)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	config := aws.Config{
		Region: account.Region, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient: &http.Client{Transport: direct{c.Service}}, BaseEndpoint: aws.String("http://dynamodb.local"),
	}
	c.db, c.streams = sdk.NewFromConfig(config), sdkstreams.NewFromConfig(config)
	return c
}

// direct is a transport that calls a handler.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if _, ok := account.CallerFrom(ctx); !ok {
		ctx = account.WithCaller(ctx, account.Root())
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r.WithContext(ctx))
	return w.Result(), nil
}

// meter adds up what is counted.
type meter struct {
	mu    sync.Mutex
	units map[string]float64
}

func (m *meter) Count(item string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.units == nil {
		m.units = map[string]float64{}
	}
	m.units[item] += n
}

// take returns the count of an item and sets it back.
func (m *meter) take(item string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.units[item]
	delete(m.units, item)
	return n
}

func (c *cloud) table(t testing.TB, spec dynamodb.TableSpec) dynamodb.TableInfo {
	t.Helper()
	info, err := c.CreateTable(spec)
	if err != nil {
		t.Fatalf("create table %s: %v", spec.Name, err)
	}
	return info
}

// object is an item, written short: strings are S, numbers N.
type object map[string]any

func (o object) item() map[string]types.AttributeValue {
	if o == nil {
		return nil
	}
	out := make(map[string]types.AttributeValue, len(o))
	for name, v := range o {
		out[name] = attribute(v)
	}
	return out
}

// n is a number.
type n string

func attribute(v any) types.AttributeValue {
	switch v := v.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}
	case n:
		return &types.AttributeValueMemberN{Value: string(v)}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case []byte:
		return &types.AttributeValueMemberB{Value: v}
	case []string:
		return &types.AttributeValueMemberSS{Value: v}
	case []any:
		list := &types.AttributeValueMemberL{Value: []types.AttributeValue{}}
		for _, e := range v {
			list.Value = append(list.Value, attribute(e))
		}
		return list
	case object:
		return &types.AttributeValueMemberM{Value: v.item()}
	case nil:
		return &types.AttributeValueMemberNULL{Value: true}
	}
	panic("no attribute value for " + reflect.TypeOf(v).String())
}

func (c *cloud) put(t testing.TB, table string, o object) {
	t.Helper()
	if _, err := c.db.PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: o.item()}); err != nil {
		t.Fatalf("put %v: %v", o, err)
	}
}

func (c *cloud) get(t testing.TB, table string, key object) map[string]types.AttributeValue {
	t.Helper()
	out, err := c.db.GetItem(t.Context(), &sdk.GetItemInput{TableName: &table, Key: key.item(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatalf("get %v: %v", key, err)
	}
	return out.Item
}

func same(t testing.TB, got map[string]types.AttributeValue, want object) {
	t.Helper()
	if w := want.item(); !reflect.DeepEqual(got, w) && len(got)+len(w) > 0 {
		t.Errorf("item is %s, want %s", show(got), show(w))
	}
}

func show(it map[string]types.AttributeValue) string {
	var b strings.Builder
	for name, v := range it {
		b.WriteString(name)
		b.WriteByte('=')
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			b.WriteString(v.Value)
		case *types.AttributeValueMemberN:
			b.WriteString(v.Value)
		default:
			b.WriteString(reflect.TypeOf(v).String())
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// wantError checks the code and a part of the message of an API error.
func wantError(t testing.TB, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("error is %s: %s, want %s: %s", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}

// as returns a context whose calls are signed by a role.
func as(ctx context.Context, role string) context.Context {
	return account.WithCaller(ctx, account.AssumedRole(role, "session"))
}

func hashTable(name string) dynamodb.TableSpec { return dynamodb.TableSpec{Name: name, Hash: "pk"} }
