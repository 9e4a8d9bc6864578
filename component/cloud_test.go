package component_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/build"
)

var update = flag.Bool("update", false, "write the golden files")

// cloud is a mock of the engine: it keeps what is registered, in order, and
// answers with ids and ARNs in the form of AWS.
type cloud struct {
	mu        sync.Mutex
	resources []pulumi.MockResourceArgs
	apiScheme string            // default wss
	invokeARN map[string]string // of functions by name; default from the name
}

func (c *cloud) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("unexpected call of %s", args.Token)
}

func (c *cloud) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.find(args.TypeToken, args.Name) != nil {
		return "", nil, fmt.Errorf("%s %s is registered twice", args.TypeToken, args.Name)
	}
	c.resources = append(c.resources, args)
	out := args.Inputs.Copy()
	set := func(name, format string, v ...any) {
		out[resource.PropertyKey(name)] = resource.NewStringProperty(fmt.Sprintf(format, v...))
	}
	physical := args.Name
	if n, ok := args.Inputs["name"]; ok && n.IsString() {
		physical = n.StringValue()
	}
	set("name", "%s", physical)
	id := args.Name + "-id"
	const at = "eu-central-1:123456789012"
	switch args.TypeToken {
	case "aws:apigatewayv2/api:Api":
		scheme := c.apiScheme
		if scheme == "" {
			scheme = "wss"
		}
		set("apiEndpoint", "%s://%s.execute-api.eu-central-1.amazonaws.com", scheme, id)
		set("executionArn", "arn:aws:execute-api:%s:%s", at, id)
	case "aws:dynamodb/table:Table":
		set("arn", "arn:aws:dynamodb:%s:table/%s", at, physical)
		set("streamArn", "arn:aws:dynamodb:%s:table/%s/stream/2026-01-01T00:00:00.000", at, physical)
	case "aws:lambda/function:Function":
		set("arn", "arn:aws:lambda:%s:function:%s", at, physical)
		set("invokeArn", "arn:aws:apigateway:eu-central-1:lambda:path/%s%s", physical, c.invokeARN[args.Name])
	case "aws:iam/role:Role":
		set("arn", "arn:aws:iam::123456789012:role/%s", physical)
	case "aws:sqs/queue:Queue":
		set("arn", "arn:aws:sqs:%s:%s", at, physical)
		set("url", "https://sqs.eu-central-1.amazonaws.com/123456789012/%s", physical)
	case "aws:s3/bucketV2:BucketV2":
		set("arn", "arn:aws:s3:::%s", physical)
		set("bucket", "%s", physical)
	case "aws:cloudwatch/logGroup:LogGroup":
		set("arn", "arn:aws:logs:%s:log-group:%s", at, physical)
	}
	return id, out, nil
}

func (c *cloud) find(kind, name string) *pulumi.MockResourceArgs {
	i := slices.IndexFunc(c.resources, func(r pulumi.MockResourceArgs) bool { return r.TypeToken == kind && r.Name == name })
	if i < 0 {
		return nil
	}
	return &c.resources[i]
}

// must returns a resource; kind may leave out "aws:" and what follows it up to the type.
func (c *cloud) must(t *testing.T, kind, name string) pulumi.MockResourceArgs {
	t.Helper()
	for _, r := range c.resources {
		if r.Name == name && strings.HasSuffix(r.TypeToken, ":"+kind) {
			return r
		}
	}
	t.Fatalf("no %s %s among %d resources", kind, name, len(c.resources))
	return pulumi.MockResourceArgs{}
}

// plain is an input as Go values, secrets unwrapped.
func plain(r pulumi.MockResourceArgs, property string) any {
	return resource.PropertyMap{"v": r.Inputs[resource.PropertyKey(property)]}.Mappable()["v"]
}

// env is a function's environment.
func env(t *testing.T, r pulumi.MockResourceArgs) map[string]any {
	t.Helper()
	v, ok := plain(r, "environment").(map[string]any)["variables"].(map[string]any)
	if !ok {
		t.Fatalf("%s has no environment", r.Name)
	}
	return v
}

// fakeBuild names an archive after the package.
func fakeBuild(_ context.Context, _ string, p build.Package, t build.Target) (string, error) {
	name := path.Base(p.Path)
	if p.Path == "" {
		name = path.Base(p.Dir)
	}
	return filepath.Join("/cache", t.GOOS+"-"+t.GOARCH, name+".zip"), nil
}

func noEnv(string) string { return "" }

// minimal is the least that NewStreamer asks for.
func minimal() *component.StreamerArgs {
	return &component.StreamerArgs{
		Handlers: &component.Handlers{Package: "../cmd/handlers"},
		Auth:     &component.Auth{JWKSURL: pulumi.String("https://id.example.com/jwks.json")},
	}
}

// run runs a program in the mock.
func (c *cloud) run(body func(ctx *pulumi.Context) error) error {
	return pulumi.RunErr(body, pulumi.WithMocks("shop", "prod", c))
}

// deploy runs a program of one component named reports.
func deploy(t *testing.T, args *component.StreamerArgs) *cloud {
	t.Helper()
	c := &cloud{}
	err := c.run(func(ctx *pulumi.Context) error {
		_, err := component.NewStreamerWith(ctx, "reports", args, noEnv, fakeBuild)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", file, got)
	}
}

// keyPair returns a fresh public and private key as PEM.
func keyPair(t *testing.T) (public, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	public = encode("PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	return public, encode("PRIVATE KEY", der, err)
}
