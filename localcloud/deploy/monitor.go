package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// monitor is the resource monitor and the engine that a program sees.
type monitor struct {
	rpc.UnimplementedResourceMonitorServer
	rpc.UnimplementedEngineServer
	run *run
}

// wire are the forms that pass between program and monitor.
func wire() plugin.MarshalOptions {
	return plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true, KeepByteString: true,
	}
}

// supported are the features that the monitor has. Alias specifications are not
// among them: the SDK then sends aliases as ready URNs, those that children
// inherit included.
func supported() []rpc.ResourceMonitorFeature {
	return []rpc.ResourceMonitorFeature{
		rpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_SECRETS,
		rpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
		rpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
		rpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_DELETED_WITH,
		rpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_BYTE_STRING,
	}
}

// GetDeploymentInfo is the first call of newer SDKs.
func (m *monitor) GetDeploymentInfo(context.Context, *emptypb.Empty) (*rpc.DeploymentInfo, error) {
	m.run.contacted()
	p := m.run.program
	return &rpc.DeploymentInfo{
		Project: p.Project, Stack: p.Stack, Organization: organization, Config: p.Config,
		ConfigSecretKeys: p.SecretKeys, DryRun: m.run.dry, SupportedFeatures: supported(),
	}, nil
}

// SupportsFeature is asked by older SDKs, one feature a call.
func (m *monitor) SupportsFeature(_ context.Context, r *rpc.SupportsFeatureRequest) (*rpc.SupportsFeatureResponse, error) {
	m.run.contacted()
	switch r.Id {
	case "secrets", "resourceReferences", "outputValues", "deletedWith":
		return &rpc.SupportsFeatureResponse{HasSupport: true}, nil
	}
	return &rpc.SupportsFeatureResponse{}, nil
}

// RegisterResource makes the resource and answers when it exists. The SDK sends
// a resource only when all that it depends on has been answered, so the order
// of calls is an order of creation.
func (m *monitor) RegisterResource(ctx context.Context, r *rpc.RegisterResourceRequest) (*rpc.RegisterResourceResponse, error) {
	m.run.contacted()
	reg := m.registration(r)
	rec, err := m.registered(ctx, r, reg)
	if err != nil {
		return nil, refusal(err)
	}
	resp := &rpc.RegisterResourceResponse{Urn: reg.urn, Id: rec.id}
	if resp.Object, err = plugin.MarshalProperties(rec.outputs, wire()); err != nil {
		return nil, status.Errorf(codes.Internal, "answer %s %q: %v", reg.token, reg.name, err)
	}
	return resp, nil
}

func (m *monitor) registration(r *rpc.RegisterResourceRequest) *registration {
	reg := &registration{
		urn:   urnOf(m.run.program.Stack, m.run.program.Project, r.Parent, r.Type, r.Name),
		token: r.Type, name: r.Name, needs: append([]string{}, r.Dependencies...),
		protect: r.GetProtect(), retain: r.GetRetainOnDelete(), deleteFirst: r.DeleteBeforeReplace,
		ignore: r.IgnoreChanges, replaceOn: r.ReplaceOnChanges, secrets: r.AdditionalSecretOutputs,
	}
	for _, need := range []string{r.Parent, r.DeletedWith} {
		if need != "" {
			reg.needs = append(reg.needs, need)
		}
	}
	for _, dep := range r.PropertyDependencies {
		reg.needs = append(reg.needs, dep.Urns...)
	}
	for _, alias := range r.AliasURNs {
		reg.aliases = append(reg.aliases, aliasOf(alias))
	}
	reg.file, reg.line = position(r.SourcePosition, r.StackTrace)
	return reg
}

// position is the innermost line that is not the SDK's own. The SDK takes it
// for granted that a resource is registered by a function NewX of a package; a
// program that registers by type has its line only further out, or not at all.
func position(p *rpc.SourcePosition, trace *rpc.StackTrace) (file string, line int) {
	candidates := []*rpc.SourcePosition{p}
	for _, frame := range trace.GetFrames() {
		candidates = append(candidates, frame.GetPc())
	}
	for _, at := range candidates {
		file := strings.TrimPrefix(at.GetUri(), "file://")
		if file != "" && !strings.Contains(file, "/pulumi/sdk/v") && !strings.Contains(file, "/pulumi-aws/sdk/v") {
			return file, int(at.GetLine())
		}
	}
	return "", 0
}

// registered tells components, providers and resources of the cloud apart.
func (m *monitor) registered(ctx context.Context, r *rpc.RegisterResourceRequest, reg *registration) (*record, error) {
	for _, refused := range []struct {
		given bool
		what  string
	}{
		{r.Remote, "a component of another provider is not supported by the local cloud: use its Go package"},
		{r.ImportId != "", "the import of existing resources is not supported by the local cloud"},
		{len(r.Transforms) > 0, "transforms by callback are not supported by the local cloud"},
		{r.Hooks != nil, "resource hooks are not supported by the local cloud"},
		{len(r.ReplaceWith) > 0, "the option replaceWith is not supported by the local cloud"},
		{len(r.Aliases) > 0, "aliases by specification are not supported by the local cloud"},
	} {
		if refused.given {
			return nil, m.run.refuseNow(reg, fault{"", refused.what})
		}
	}
	inputs, err := m.decode(r.Object, true)
	if err != nil {
		return nil, m.run.refuseNow(reg, fault{"", err.Error()})
	}
	reg.inputs = inputs
	k := m.run.kinds[r.Type]
	switch {
	case !r.Custom:
		return m.run.component(reg, "")
	case r.Type == "pulumi:providers:aws":
		return m.run.component(reg, randomID())
	case k == nil:
		return nil, m.run.refuseNow(reg, fault{"", unsupported(r.Type)})
	}
	return m.run.register(ctx, k, reg)
}

// decode reads properties; hash says whether archives get the hash of their
// content, which is how a change of code is seen.
func (m *monitor) decode(s *structpb.Struct, hash bool) (resource.PropertyMap, error) {
	props, err := plugin.UnmarshalProperties(s, wire())
	if err != nil || !hash {
		return props, err
	}
	return props, hashed(resource.NewObjectProperty(props), m.run.dir)
}

// hashed computes the hashes of the archives and assets in the value.
func hashed(v resource.PropertyValue, dir string) error {
	v = reveal(v)
	switch {
	case v.IsArchive():
		return hashArchive(v.ArchiveValue(), dir)
	case v.IsAsset():
		return hashAsset(v.AssetValue(), dir)
	case v.IsArray():
		for _, e := range v.ArrayValue() {
			if err := hashed(e, dir); err != nil {
				return err
			}
		}
	case v.IsObject():
		for _, key := range v.ObjectValue().StableKeys() {
			if err := hashed(v.ObjectValue()[key], dir); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

func hashArchive(a *archive.Archive, dir string) error {
	if a.Hash != "" {
		return nil
	}
	return a.EnsureHashWithWD(dir)
}

func hashAsset(a *asset.Asset, dir string) error {
	if a.Hash != "" {
		return nil
	}
	return a.EnsureHashWithWD(dir)
}

// RegisterResourceOutputs takes the stack's exports; those of components need
// not be kept.
func (m *monitor) RegisterResourceOutputs(_ context.Context, r *rpc.RegisterResourceOutputsRequest) (*emptypb.Empty, error) {
	if qualifiedType(r.Urn) == stackType {
		outputs, err := m.decode(r.Outputs, false)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "read exports of the stack: %v", err)
		}
		m.run.export(outputs)
	}
	return &emptypb.Empty{}, nil
}

// Invoke answers the functions of the aws package.
func (m *monitor) Invoke(_ context.Context, r *rpc.ResourceInvokeRequest) (*rpc.ResourceInvokeResponse, error) {
	args, err := m.decode(r.Args, false)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read arguments of %s: %v", r.Tok, err)
	}
	result, faults := m.run.invoke(r.Tok, args)
	resp, err := invokeResponse(result, faults)
	if err != nil {
		return nil, err
	}
	return &rpc.ResourceInvokeResponse{Return: resp.Return, Failures: resp.Failures}, nil
}

// ReadResource is the lookup of a resource that the program does not own.
func (m *monitor) ReadResource(_ context.Context, r *rpc.ReadResourceRequest) (*rpc.ReadResourceResponse, error) {
	reg := &registration{token: r.Type, name: r.Name}
	reg.file, reg.line = position(r.SourcePosition, r.StackTrace)
	return nil, refusal(m.run.refuseNow(reg, fault{"", "the lookup of existing resources is not supported by the local cloud"}))
}

// Call is a method of a resource.
func (m *monitor) Call(_ context.Context, r *rpc.ResourceCallRequest) (*rpc.CallResponse, error) {
	return nil, status.Errorf(codes.InvalidArgument, "localcloud: the method %s is not supported by the local cloud", r.Tok)
}

// SignalAndWaitForShutdown is the program's word that everything succeeded:
// what it no longer registers is deleted now, and an error reaches it.
func (m *monitor) SignalAndWaitForShutdown(ctx context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
	if err := m.run.finish(ctx); err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "localcloud: %v", err)
	}
	return &emptypb.Empty{}, nil
}

// Log takes what the program logs.
func (m *monitor) Log(_ context.Context, r *rpc.LogRequest) (*emptypb.Empty, error) {
	m.run.log(strings.ToLower(r.Severity.String()), r.Message)
	return &emptypb.Empty{}, nil
}

// RequirePulumiVersion accepts every version: there is no Pulumi CLI here.
func (m *monitor) RequirePulumiVersion(context.Context, *rpc.RequirePulumiVersionRequest) (*rpc.RequirePulumiVersionResponse, error) {
	return &rpc.RequirePulumiVersionResponse{}, nil
}

// refusal is the error in the one form that the SDK shows: the message. Details
// of a status, and a result marked as failed, are not shown by every version.
func refusal(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return status.Errorf(codes.Internal, "localcloud: %v", err)
	}
	return status.Error(codes.InvalidArgument, "localcloud: "+strings.TrimPrefix(e.Error(), "deploy: "))
}
