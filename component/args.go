package component

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// StreamerArgs says what is to be stood up. Handlers and Auth are required; the
// zero value of all else is the default that its comment names. Values that are
// Outputs are checked when they are known, all others at once.
type StreamerArgs struct {
	// Handlers is the user's code.
	Handlers *Handlers `pulumi:"handlers"`
	// Auth says how tokens are verified.
	Auth *Auth `pulumi:"auth"`
	// AllowedOrigins are the values of the header Origin that may connect:
	// scheme://host[:port] with nothing behind it, such as https://app.example.com, or
	// * for all. Default: all.
	AllowedOrigins []pulumi.StringInput `pulumi:"allowedOrigins,optional"`
	// Architecture of the functions: arm64 (default) or x86_64.
	Architecture string `pulumi:"architecture,optional"`
	// Connect, Router, Dispatcher and Processor size the functions.
	Connect    *Function `pulumi:"connect,optional"`
	Router     *Function `pulumi:"router,optional"`
	Dispatcher *Function `pulumi:"dispatcher,optional"`
	Processor  *Function `pulumi:"processor,optional"`
	// LargePayloads makes a bucket for inputs above what a message may have (128 KB,
	// then up to 20 MB) and for results above 350 KB. Default false: those are
	// refused with PAYLOAD_TOO_LARGE. The component's name must be one that a bucket
	// can have: small letters, digits and -.
	LargePayloads bool `pulumi:"largePayloads,optional"`
	// Lease is how long the owner of a request is left alone after its last sign of
	// life, a Go duration from 1s to 15m. Default 30s. A third of it is the time between
	// two beats, and the longest until a handler hears that it was cancelled. When Lambda
	// reports that the owner has failed, its request is given to another as soon as
	// the lease is past. Without a report that happens a minute after the function's
	// time (Processor.Timeout) was over, for until then it may still be at work.
	Lease pulumi.StringPtrInput `pulumi:"lease,optional"`
	// Limits bound what a user or tenant may have at once. Default: none.
	Limits *Limits `pulumi:"limits,optional"`
	// LogLevel is debug, info (default), warn or error.
	LogLevel pulumi.StringPtrInput `pulumi:"logLevel,optional"`
	// LogRetention is how many days logs are kept, one of the values that CloudWatch
	// knows. Default 30.
	LogRetention pulumi.IntPtrInput `pulumi:"logRetention,optional"`
	// MaxJobs is how many requests are worked off at once, at least 1. It is the
	// processor's reserved concurrency. Default: as many as the account allows,
	// which also takes from router and dispatcher: a preview warns.
	MaxJobs pulumi.IntPtrInput `pulumi:"maxJobs,optional"`
	// MetricsNamespace is the CloudWatch namespace of the metrics. Default "Streamer".
	MetricsNamespace pulumi.StringPtrInput `pulumi:"metricsNamespace,optional"`
	// Paused keeps everything from being started that runs in the background; what
	// runs goes on. Requests are accepted and wait. Default false.
	Paused pulumi.BoolPtrInput `pulumi:"paused,optional"`
	// Protect refuses changes that would replace or delete a table or the API, in
	// Pulumi and (tables) in DynamoDB. Default true.
	Protect *bool `pulumi:"protect,optional"`
	// QuickThreshold is the estimate above which a plain handler runs in the
	// background, a Go duration from 0s (any estimate) to QuickTimeout. Default 5s, or
	// QuickTimeout where that is less.
	QuickThreshold pulumi.StringPtrInput `pulumi:"quickThreshold,optional"`
	// QuickTimeout is the deadline of a quick handler, a Go duration from 100ms to
	// 25s. Default 10s.
	QuickTimeout pulumi.StringPtrInput `pulumi:"quickTimeout,optional"`
	// StageName is the last part of the URL: letters, digits, - and _. Default "live".
	StageName string `pulumi:"stageName,optional"`
	// Tags go on everything that can carry tags.
	Tags map[string]pulumi.StringInput `pulumi:"tags,optional"`
	// Throttle limits the messages of all clients together.
	Throttle *Throttle `pulumi:"throttle,optional"`
}

// Handlers is the user's code: exactly one of Package and Archive.
type Handlers struct {
	// Package is the directory of the main package that calls Run on the app,
	// relative to the program's working directory. It is built here.
	Package string `pulumi:"package,optional"`
	// Archive is an archive that holds the binary as bootstrap, built for
	// Architecture.
	Archive pulumi.AssetOrArchiveInput `pulumi:"archive,optional"`
	// Environment is added to the environment of router and processor. Names that
	// begin with STREAMER_, AWS_ or LAMBDA_ are refused. Lambda takes 4 KB of variables,
	// Streamer's own among them, which are about 1 KB at most.
	Environment map[string]pulumi.StringInput `pulumi:"environment,optional"`
}

// Auth says how tokens are verified: by exactly one of Keys and JWKSURL.
type Auth struct {
	// Audience: one of them must be in the claim aud. Default: not looked at.
	Audience []pulumi.StringInput `pulumi:"audience,optional"`
	// Issuer is what the claim iss must be. Default: not looked at.
	Issuer pulumi.StringPtrInput `pulumi:"issuer,optional"`
	// JWKSURL is the https URL of a key set.
	JWKSURL pulumi.StringPtrInput `pulumi:"jwksUrl,optional"`
	// Keys are static keys.
	Keys []Key `pulumi:"keys,optional"`
	// LeewaySeconds is the clock skew that is tolerated, 0 to 300. Default 30.
	LeewaySeconds pulumi.IntPtrInput `pulumi:"leewaySeconds,optional"`
	// PermissionsClaim names the claim with the permissions. Default: permissions,
	// an array, or scope, separated by spaces.
	PermissionsClaim pulumi.StringPtrInput `pulumi:"permissionsClaim,optional"`
	// QueryParameter also accepts the token there, for clients that can send it in no other
	// way. It ends up in logs. Default: off.
	QueryParameter pulumi.StringPtrInput `pulumi:"queryParameter,optional"`
	// TenantClaim names the claim with the tenant. Default tenant_id.
	TenantClaim pulumi.StringPtrInput `pulumi:"tenantClaim,optional"`
	// UserClaim names the claim with the user. Default sub.
	UserClaim pulumi.StringPtrInput `pulumi:"userClaim,optional"`
}

// Key is a static verification key: exactly one of PEM and Secret.
type Key struct {
	// ID is the kid of the tokens that it verifies. Default: any.
	ID pulumi.StringPtrInput `pulumi:"keyId,optional"`
	// PEM is one public key or certificate (RSA of 2048 to 8192 bits, ECDSA P-256,
	// Ed25519). A private key is refused.
	PEM pulumi.StringPtrInput `pulumi:"pem,optional"`
	// Secret is base64 of an HS256 secret of at least 32 bytes. It is kept as a secret.
	Secret pulumi.StringPtrInput `pulumi:"secret,optional" provider:"secret"`
}

// Function sizes one of the functions.
type Function struct {
	// MemorySize is in MB, 128 to 10240. Default 256 for connect and dispatcher,
	// 512 for the router, 1024 for the processor.
	MemorySize pulumi.IntPtrInput `pulumi:"memorySize,optional"`
	// Timeout is in seconds: connect 1 to 29, default 10; router 1 to 29, default
	// 29; dispatcher 10 to 300, default 20; processor 10 to 900, default 900.
	Timeout pulumi.IntPtrInput `pulumi:"timeout,optional"`
}

// Throttle is a token bucket. AWS counts against the account's own at the same time.
type Throttle struct {
	// Burst is the size of the bucket, at least 1. Default 2500.
	Burst pulumi.IntPtrInput `pulumi:"burst,optional"`
	// Rate is messages per second, above 0. Default 5000.
	Rate pulumi.Float64PtrInput `pulumi:"rate,optional"`
}
