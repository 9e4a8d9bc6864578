package deploy_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

const queueURN = "urn:pulumi:dev::proj::aws:sqs/queue:Queue::jobs"

func dialProvider(t *testing.T, cloud *localcloud.Cloud) rpc.ResourceProviderClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := deploy.NewProvider(cloud, t.TempDir())
	served := make(chan error, 1)
	go func() { served <- p.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		p.Close()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return rpc.NewResourceProviderClient(conn)
}

func properties(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProviderLifeOfAQueue(t *testing.T) {
	t.Parallel()
	cloud := newCloud(t)
	p, ctx := dialProvider(t, cloud), t.Context()

	checked, err := p.Check(ctx, &rpc.CheckRequest{Urn: queueURN, News: properties(t, map[string]any{"delaySeconds": 1}), RandomSeed: []byte("seed")})
	if err != nil || len(checked.Failures) > 0 {
		t.Fatal(err, checked.GetFailures())
	}
	name := checked.Inputs.Fields["name"].GetStringValue()
	if !strings.HasPrefix(name, "jobs-") {
		t.Errorf("name = %q, want one made of the resource's", name)
	}
	again, err := p.Check(ctx, &rpc.CheckRequest{Urn: queueURN, Olds: checked.Inputs, News: properties(t, map[string]any{"delaySeconds": plugin.UnknownNumberValue})})
	if err != nil || len(again.Failures) > 0 || again.Inputs.Fields["name"].GetStringValue() != name {
		t.Errorf("check again = %v, %v, want the same name", again, err)
	}

	planned, err := p.Create(ctx, &rpc.CreateRequest{Urn: queueURN, Properties: checked.Inputs, Preview: true})
	if err != nil || planned.Id != "" || planned.Properties.Fields["arn"] != nil || len(cloud.Services().Queues.Queues()) != 0 {
		t.Errorf("preview of the creation = %v, %v, want neither id nor ARN nor queue", planned, err)
	}
	made, err := p.Create(ctx, &rpc.CreateRequest{Urn: queueURN, Properties: checked.Inputs})
	if err != nil {
		t.Fatal(err)
	}
	if got := made.Properties.Fields["arn"].GetStringValue(); got != "arn:aws:sqs:us-east-1:000000000000:"+name || made.Id != made.Properties.Fields["url"].GetStringValue() {
		t.Errorf("id = %s, arn = %s", made.Id, got)
	}
	read, err := p.Read(ctx, &rpc.ReadRequest{Urn: queueURN, Id: made.Id, Properties: made.Properties, Inputs: checked.Inputs})
	if err != nil || read.Id != made.Id || read.Properties.String() != made.Properties.String() {
		t.Errorf("read = %v, %v, want what was made", read, err)
	}
	if _, err := p.Delete(ctx, &rpc.DeleteRequest{Urn: queueURN, Id: made.Id, Properties: made.Properties, OldInputs: checked.Inputs}); err != nil {
		t.Fatal(err)
	}
	gone, err := p.Read(ctx, &rpc.ReadRequest{Urn: queueURN, Id: made.Id, Properties: made.Properties, Inputs: checked.Inputs})
	if err != nil || gone.Id != "" {
		t.Errorf("read of what is gone = %v, %v, want nothing", gone, err)
	}
}

func TestProviderDiff(t *testing.T) {
	t.Parallel()
	p := dialProvider(t, newCloud(t))
	made := []any{"name"}
	for name, tt := range map[string]struct {
		old, now         map[string]any
		ignore           []string
		diffs, replaces  []string
		deleteFirst, any bool
		kind             rpc.PropertyDiff_Kind // of the first
	}{
		"same":             {old: map[string]any{"name": "a"}, now: map[string]any{"name": "a"}},
		"made name":        {old: map[string]any{"name": "a", "__defaults": made}, now: map[string]any{"name": "a"}},
		"update":           {old: map[string]any{"delaySeconds": 1}, now: map[string]any{"delaySeconds": 2}, diffs: []string{"delaySeconds"}, any: true, kind: rpc.PropertyDiff_UPDATE},
		"added":            {old: map[string]any{}, now: map[string]any{"delaySeconds": 2}, diffs: []string{"delaySeconds"}, any: true, kind: rpc.PropertyDiff_ADD},
		"removed":          {old: map[string]any{"delaySeconds": 2}, now: map[string]any{}, diffs: []string{"delaySeconds"}, any: true, kind: rpc.PropertyDiff_DELETE},
		"ignored":          {old: map[string]any{"delaySeconds": 1}, now: map[string]any{"delaySeconds": 2}, ignore: []string{"delaySeconds"}},
		"replaced":         {old: map[string]any{"name": "a"}, now: map[string]any{"name": "b"}, diffs: []string{"name"}, replaces: []string{"name"}, any: true, kind: rpc.PropertyDiff_UPDATE_REPLACE},
		"replaced in name": {old: map[string]any{"name": "a", "fifoQueue": false}, now: map[string]any{"name": "a", "fifoQueue": true}, diffs: []string{"fifoQueue"}, replaces: []string{"fifoQueue"}, any: true, deleteFirst: true, kind: rpc.PropertyDiff_UPDATE_REPLACE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Diff(t.Context(), &rpc.DiffRequest{
				Urn: queueURN, OldInputs: properties(t, tt.old), News: properties(t, tt.now), IgnoreChanges: tt.ignore,
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Diffs, tt.diffs) || !slices.Equal(got.Replaces, tt.replaces) || got.DeleteBeforeReplace != tt.deleteFirst {
				t.Errorf("diff = %v", got)
			}
			if (got.Changes == rpc.DiffResponse_DIFF_SOME) != tt.any {
				t.Errorf("changes = %v", got.Changes)
			}
			if tt.any && got.DetailedDiff[tt.diffs[0]].GetKind() != tt.kind {
				t.Errorf("kind = %v, want %v", got.DetailedDiff[tt.diffs[0]].GetKind(), tt.kind)
			}
		})
	}
}

func TestProviderRefusals(t *testing.T) {
	t.Parallel()
	p, ctx := dialProvider(t, newCloud(t)), t.Context()
	checked, err := p.Check(ctx, &rpc.CheckRequest{Urn: queueURN, News: properties(t, map[string]any{"delaySeconds": 901})})
	if err != nil || len(checked.Failures) != 1 || checked.Failures[0].Property != "delaySeconds" || checked.Failures[0].Reason != "must be from 0 to 900, is 901" {
		t.Errorf("check = %v, %v, want the delay refused", checked, err)
	}
	_, err = p.Check(ctx, &rpc.CheckRequest{Urn: "urn:pulumi:dev::proj::aws:s3/bucket:Bucket::b"})
	if err == nil || !strings.Contains(err.Error(), `aws:s3/bucket:Bucket "b": the type aws:s3/bucket:Bucket is not supported by the local cloud`) {
		t.Errorf("check of a bucket: %v", err)
	}
	invoked, err := p.Invoke(ctx, &rpc.InvokeRequest{Tok: "aws:ec2/getVpc:getVpc"})
	if err != nil || len(invoked.Failures) != 1 {
		t.Errorf("invoke = %v, %v, want a failure", invoked, err)
	}
}
