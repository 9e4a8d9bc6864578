package deploy

import (
	"context"
	"net"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/streamer-go/streamer/localcloud"
)

// providerVersion is the release of pulumi-aws whose resources the table follows.
const providerVersion = "6.83.2"

// Provider is the aws resource provider of the local cloud, for the real Pulumi
// engine. It keeps no state of its own but what exists in the cloud, and serves
// any number of engines. Safe for concurrent use.
type Provider struct {
	backend *backend
	dir     string
	server  *grpc.Server
}

// NewProvider returns a provider of the cloud. Relative paths of archives start
// at dir: the engine does not tell an attached provider where the program runs.
func NewProvider(cloud *localcloud.Cloud, dir string) *Provider {
	p := &Provider{backend: newBackend(cloud), dir: dir, server: grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))}
	rpc.RegisterResourceProviderServer(p.server, &provider{backend: p.backend, dir: dir})
	return p
}

// Serve answers engines on the listener, whose port belongs into
// PULUMI_DEBUG_PROVIDERS=aws:PORT, until Close.
func (p *Provider) Serve(l net.Listener) error { return p.server.Serve(l) }

// Close ends Serve and all connections.
func (p *Provider) Close() { p.server.Stop() }

// provider is the protocol.
type provider struct {
	rpc.UnimplementedResourceProviderServer
	backend *backend
	dir     string
}

func providerWire() plugin.MarshalOptions {
	return plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true}
}

func decode(structs ...*structpb.Struct) ([]resource.PropertyMap, error) {
	out := make([]resource.PropertyMap, len(structs))
	for i, s := range structs {
		var err error
		if out[i], err = plugin.UnmarshalProperties(s, providerWire()); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "read properties: %v", err)
		}
	}
	return out, nil
}

func encode(props resource.PropertyMap) (*structpb.Struct, error) {
	s, err := plugin.MarshalProperties(props, providerWire())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "write properties: %v", err)
	}
	return s, nil
}

// Attach is the engine's word that it uses this process.
func (*provider) Attach(context.Context, *rpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Handshake says what forms of values are understood.
func (*provider) Handshake(context.Context, *rpc.ProviderHandshakeRequest) (*rpc.ProviderHandshakeResponse, error) {
	return &rpc.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

// GetPluginInfo names the version that is stood in for.
func (*provider) GetPluginInfo(context.Context, *emptypb.Empty) (*rpc.PluginInfo, error) {
	return &rpc.PluginInfo{Version: providerVersion}, nil
}

// CheckConfig accepts every configuration; there is one account and region.
func (*provider) CheckConfig(_ context.Context, r *rpc.CheckRequest) (*rpc.CheckResponse, error) {
	return &rpc.CheckResponse{Inputs: r.News}, nil
}

// DiffConfig never replaces the provider: the cloud is the same.
func (*provider) DiffConfig(context.Context, *rpc.DiffRequest) (*rpc.DiffResponse, error) {
	return &rpc.DiffResponse{Changes: rpc.DiffResponse_DIFF_NONE}, nil
}

// Configure takes every configuration: whatever region it names, the local
// cloud has its own one.
func (*provider) Configure(context.Context, *rpc.ConfigureRequest) (*rpc.ConfigureResponse, error) {
	return &rpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true}, nil
}

// Cancel comes at the end of every run and stops nothing.
func (*provider) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (p *provider) kind(urn string) (*kind, string, error) {
	u := resource.URN(urn)
	k := p.backend.kinds[string(u.Type())]
	if k == nil {
		return nil, "", status.Errorf(codes.InvalidArgument, "localcloud: %s %q: %s", u.Type(), u.Name(), unsupported(string(u.Type())))
	}
	return k, u.Name(), nil
}

// Check completes and checks the inputs.
func (p *provider) Check(_ context.Context, r *rpc.CheckRequest) (*rpc.CheckResponse, error) {
	k, name, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.Olds, r.News)
	if err != nil {
		return nil, err
	}
	inputs, faults := k.checked(name, props[0], props[1], r.RandomSeed)
	resp := &rpc.CheckResponse{}
	for _, f := range faults {
		resp.Failures = append(resp.Failures, &rpc.CheckFailure{Property: f.path, Reason: redact(props[1], f.reason)})
	}
	resp.Inputs, err = encode(inputs)
	return resp, err
}

// Diff compares the inputs that are with those that are to be.
func (p *provider) Diff(_ context.Context, r *rpc.DiffRequest) (*rpc.DiffResponse, error) {
	k, _, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.OldInputs, r.News)
	if err != nil {
		return nil, err
	}
	old := props[0]
	news := keepIgnored(props[1], old, r.IgnoreChanges)
	d := k.differs(old, news)
	if d == nil {
		return &rpc.DiffResponse{Changes: rpc.DiffResponse_DIFF_NONE}, nil
	}
	resp := &rpc.DiffResponse{
		Changes: rpc.DiffResponse_DIFF_SOME, Diffs: d.keys, Replaces: d.replaces,
		DeleteBeforeReplace: d.deleteFirst, HasDetailedDiff: true, DetailedDiff: map[string]*rpc.PropertyDiff{},
	}
	for _, key := range d.keys {
		resp.DetailedDiff[key] = &rpc.PropertyDiff{Kind: d.kindOf(key), InputDiff: true}
	}
	return resp, nil
}

// kindOf is the form of one property's change; each form with replacement
// follows the one without.
func (d *difference) kindOf(key string) rpc.PropertyDiff_Kind {
	k := rpc.PropertyDiff_UPDATE
	switch {
	case d.detail.Added(resource.PropertyKey(key)):
		k = rpc.PropertyDiff_ADD
	case d.detail.Deleted(resource.PropertyKey(key)):
		k = rpc.PropertyDiff_DELETE
	}
	for _, r := range d.replaces {
		if r == key {
			return k + 1
		}
	}
	return k
}

// Create makes the resource; a preview gets the inputs, all else is unknown.
func (p *provider) Create(ctx context.Context, r *rpc.CreateRequest) (*rpc.CreateResponse, error) {
	k, _, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.Properties)
	if err != nil {
		return nil, err
	}
	var id string
	var computed resource.PropertyMap
	if !r.Preview {
		if id, computed, err = k.create(k.operation(ctx, p.backend, "", p.dir, props[0])); err != nil {
			return nil, status.Error(codes.Unknown, redact(props[0], err.Error()))
		}
	}
	out, err := encode(k.outputs(props[0], computed))
	return &rpc.CreateResponse{Id: id, Properties: out}, err
}

// Update changes the resource in place.
func (p *provider) Update(ctx context.Context, r *rpc.UpdateRequest) (*rpc.UpdateResponse, error) {
	k, _, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.Olds, r.OldInputs, r.News)
	if err != nil {
		return nil, err
	}
	olds, oldInputs := props[0], props[1]
	news := keepIgnored(props[2], oldInputs, r.IgnoreChanges)
	outputs := k.foreseen(news, oldInputs, olds)
	if !r.Preview {
		op := k.operation(ctx, p.backend, r.Id, p.dir, news)
		op.old = newReader(oldInputs, k.defaults)
		computed, err := k.update(op)
		if err != nil {
			return nil, status.Error(codes.Unknown, redact(news, err.Error()))
		}
		outputs = k.updated(news, oldInputs, olds, computed)
	}
	out, err := encode(outputs)
	return &rpc.UpdateResponse{Properties: out}, err
}

// Read tells whether the resource is there, and what was computed for it.
func (p *provider) Read(ctx context.Context, r *rpc.ReadRequest) (*rpc.ReadResponse, error) {
	k, name, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.Properties, r.Inputs)
	if err != nil {
		return nil, err
	}
	outputs, inputs := props[0], props[1]
	if len(inputs) == 0 {
		return nil, status.Errorf(codes.Unimplemented, "localcloud: %s %q: the lookup and import of existing resources is not supported by the local cloud", k.token, name)
	}
	computed, ok := k.read(k.operation(ctx, p.backend, r.Id, p.dir, inputs))
	if !ok {
		return &rpc.ReadResponse{}, nil
	}
	resp := &rpc.ReadResponse{Id: r.Id}
	if resp.Properties, err = encode(k.updated(inputs, inputs, outputs, computed)); err != nil {
		return nil, err
	}
	resp.Inputs, err = encode(inputs)
	return resp, err
}

// Delete removes the resource.
func (p *provider) Delete(ctx context.Context, r *rpc.DeleteRequest) (*emptypb.Empty, error) {
	k, _, err := p.kind(r.Urn)
	if err != nil {
		return nil, err
	}
	props, err := decode(r.Properties, r.OldInputs)
	if err != nil {
		return nil, err
	}
	// Older engines send no inputs; those are among the outputs.
	inputs := props[1]
	if len(inputs) == 0 {
		inputs = props[0]
	}
	if err := k.remove(k.operation(ctx, p.backend, r.Id, p.dir, inputs)); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &emptypb.Empty{}, nil
}

// Invoke answers the functions of the aws package.
func (p *provider) Invoke(_ context.Context, r *rpc.InvokeRequest) (*rpc.InvokeResponse, error) {
	props, err := decode(r.Args)
	if err != nil {
		return nil, err
	}
	result, faults := p.backend.invoke(r.Tok, props[0])
	return invokeResponse(result, faults)
}
