// Package contract is what the Pulumi component and the runtime agree on: the
// environment of the functions, the shape of the tables, and the pattern that
// decides which stream records start work. Both import it and neither imports
// the other, so a name that is changed here is changed on both sides.
//
// It imports nothing outside the standard library. What it does is to say of values
// that one side writes and the other reads whether they are any good, so that
// nothing passes a preview that a function would refuse.
package contract

import (
	"strconv"
	"time"
)

// Role says which of the four functions a process is.
type Role string

// The four functions. Router and processor run the user's binary, connect and
// dispatcher run ours.
const (
	RoleConnect    Role = "connect"
	RoleRouter     Role = "router"
	RoleDispatcher Role = "dispatcher"
	RoleProcessor  Role = "processor"
)

// Environment variables of the functions. A function is given only those it
// needs: see Environment.
const (
	// EnvRole holds the Role.
	EnvRole = "STREAMER_ROLE"
	// EnvRequestsTable, EnvHistoryTable and EnvConnectionsTable hold table names.
	EnvRequestsTable    = "STREAMER_REQUESTS_TABLE"
	EnvHistoryTable     = "STREAMER_HISTORY_TABLE"
	EnvConnectionsTable = "STREAMER_CONNECTIONS_TABLE"
	// EnvCallbackEndpoint is the HTTPS endpoint of @connections with the stage:
	// https://{api}.execute-api.{region}.amazonaws.com/{stage}.
	EnvCallbackEndpoint = "STREAMER_CALLBACK_ENDPOINT"
	// EnvWakeQueueURL is the URL of the wake queue.
	EnvWakeQueueURL = "STREAMER_WAKE_QUEUE_URL"
	// EnvProcessorFunction is the name of the processor function.
	EnvProcessorFunction = "STREAMER_PROCESSOR_FUNCTION"
	// EnvAuth is a JSON document: how tokens are verified (type Auth).
	EnvAuth = "STREAMER_AUTH"
	// EnvLogLevel is debug, info (default), warn or error.
	EnvLogLevel = "STREAMER_LOG_LEVEL"
	// EnvQuickThreshold is a Go duration: a plain handler whose estimate is above
	// it runs in the background; 0 is any estimate. Default 5s.
	EnvQuickThreshold = "STREAMER_QUICK_THRESHOLD"
	// EnvQuickTimeout is a Go duration: the deadline of a quick handler. Default 10s.
	EnvQuickTimeout = "STREAMER_QUICK_TIMEOUT"
	// EnvLease is a Go duration: how long an owner may be silent before its
	// request is given to another. It beats three times as often. Default 30s.
	EnvLease = "STREAMER_LEASE"
	// EnvMaxOpenUser and EnvMaxOpenTenant are whole numbers: how many requests of
	// a user, and of a tenant, may be open at once. Not set: no limit.
	EnvMaxOpenUser   = "STREAMER_MAX_OPEN_PER_USER"
	EnvMaxOpenTenant = "STREAMER_MAX_OPEN_PER_TENANT"
	// EnvTenantConcurrency is a whole number: how many requests of a tenant are
	// worked off at once. Not set: no limit.
	EnvTenantConcurrency = "STREAMER_TENANT_CONCURRENCY"
	// EnvTenantRate is a number: messages per second of a tenant. Not set: no limit.
	EnvTenantRate = "STREAMER_TENANT_RATE"
	// EnvPaused is true or false (default): while it is true, nothing is started.
	EnvPaused = "STREAMER_PAUSED"
	// EnvMetricsNamespace is the CloudWatch namespace of the metrics. Default "Streamer".
	EnvMetricsNamespace = "STREAMER_METRICS_NAMESPACE"
	// EnvBucket is the bucket of large inputs and results; unset, where they are
	// switched off.
	EnvBucket = "STREAMER_BUCKET"
	// EnvAWSEndpoint, when set, replaces the endpoint of every AWS service but
	// @connections. The SDK's own variable is used, so the functions need no code for it.
	EnvAWSEndpoint = "AWS_ENDPOINT_URL"
	// EnvBuildArch is read by the component, not by a function: the host of a
	// program that runs locally sets it to its own GOARCH, and the functions are
	// built for that one.
	EnvBuildArch = "STREAMER_BUILD_ARCH"
	// EnvBuildFlags is read by the component too: further flags of go build for
	// every function, separated by spaces, such as "-cover". The binaries are not
	// stripped then.
	EnvBuildFlags = "STREAMER_BUILD_FLAGS"
	// EnvBuildList is read by the component too: the file to which it appends what it
	// is about to build, for the host of a program that runs locally.
	EnvBuildList = "STREAMER_BUILD_LIST"
)

// Attributes of an item of the requests table. Expressions always go through
// placeholders, for several of these are reserved words.
const (
	AttrPK        = "pk"         // S  tenant/user/id, each part percent-encoded
	AttrState     = "state"      // S  PENDING, PROCESSING, SUCCEEDED, FAILED, CANCELLED
	AttrEpoch     = "epoch"      // N  the fence: +1 whenever ownership is taken or given up
	AttrStart     = "start"      // N  present: the epoch that is to be started
	AttrAttempt   = "attempt"    // N  attempts begun
	AttrOffers    = "offers"     // N  how often advance has offered this epoch
	AttrBeat      = "beat"       // N  beats of this epoch's owner
	AttrBy        = "by"         // S  nonce of the write that last moved the epoch
	AttrAction    = "action"     // S
	AttrInput     = "input"      // B  input document, or its blob reference
	AttrOutput    = "output"     // B  output, or its blob reference
	AttrFailure   = "failure"    // M  code, message, details, retryable; waited: pauses of postponed attempts, ms
	AttrPrint     = "print"      // B  fingerprint of action and payload
	AttrProgress  = "progress"   // M  snapshot: epoch, seq, pct, message, metadata
	AttrWatchers  = "watchers"   // M  connection id -> when it ends at the latest, by its token or its age (epoch seconds)
	AttrMax       = "max"        // N  attempts allowed
	AttrCancel    = "cancel"     // BOOL
	AttrTrace     = "trace"      // S  trace header of the client's message
	AttrCreatedAt = "created_at" // N  ms
	AttrDeadline  = "deadline"   // N  ms
	AttrLease     = "lease"      // N  ms
	AttrRunAt     = "run_at"     // N  ms
	AttrClaimed   = "claimed"    // M  the newest claim: epoch, time, log stream, invocation
	AttrRetained  = "retained"   // N  seconds: retained_until of the acknowledgment
	AttrExpires   = "expires_at" // N  seconds: TTL, on terminal items and tombstones only
	AttrDueShard  = "due_shard"  // S  hash key of the index due: "00" to "15"
	AttrDueAt     = "due_at"     // N  ms, range key of the index due
	AttrOwner     = "owner"      // S  tenant/user, hash key of the index owner
	AttrCreated   = "created"    // S  created_at#id, range key of the index owner
	// AttrCheckpoint: the newest checkpoint's blob, and how many partials it covers.
	AttrCheckpoint = "checkpoint" // M
	AttrPartials   = "partials"   // N  partials of the finished log
	AttrWaiting    = "waiting"    // S  why a request that could be started is not
	AttrLane       = "lane"       // S  what waits for its tenant, or is dead: hash key of the index lane
	AttrLaneAt     = "lane_at"    // N  ms, range key of the index lane
	AttrOpen       = "open"       // S  tenant, while limits on open requests are on: hash key of the index open
	AttrOpenAt     = "open_at"    // S  user/created, range key of the index open
	AttrRedrives   = "redrives"   // S  id of the dead request that this one repeats
)

// Attributes of a tenant's slots and counts, which the table of connections
// holds.
const (
	AttrHolder = "holder" // S  key of the request that has the slot
	AttrCount  = "count"  // N  messages in a window
)

// Keys of the other tables, and names of the indexes.
const (
	AttrSK     = "sk" // S  range key of history and connections
	IndexDue   = "due"
	IndexOwner = "owner"
	// IndexLane holds what waits for its tenant, oldest first, and what is dead.
	IndexLane = "lane"
	// IndexOpen holds what is open, by tenant and user, where that is limited.
	IndexOpen = "open"
	// DueShards is the number of hash keys that the index due is spread over.
	DueShards = 16
)

// UploadPrefix begins the names of objects that clients upload. They are deleted
// after a day: what was accepted is stored under a name of its own.
const UploadPrefix = "u/"

// ObjectDays are the days after which the bucket deletes what it holds, each
// under a prefix of its own, ObjectPrefix.
func ObjectDays() []int { return []int{2, 8, 32, 128, 400} }

// StoredPrefix begins the names of all objects that the functions store.
const StoredPrefix = "b/"

// ObjectPrefix begins the names of objects that are kept for that many days.
func ObjectPrefix(days int) string { return StoredPrefix + strconv.Itoa(days) + "/" }

// Index is a keys-only global secondary index.
type Index struct {
	Name, Hash, HashType, Range, RangeType string
}

// Table is the shape of a table: billing on demand, keys, indexes.
type Table struct {
	Hash, Range string // Range "" when the table has none; both are strings
	Indexes     []Index
	Stream      string // "" or NEW_IMAGE
	TTL         string // attribute
	Recovery    bool   // point-in-time recovery
}

// Requests is the table that holds the truth.
func Requests() Table {
	return Table{
		Hash: AttrPK, Stream: "NEW_IMAGE", TTL: AttrExpires, Recovery: true,
		Indexes: []Index{
			{Name: IndexDue, Hash: AttrDueShard, HashType: "S", Range: AttrDueAt, RangeType: "N"},
			{Name: IndexOwner, Hash: AttrOwner, HashType: "S", Range: AttrCreated, RangeType: "S"},
			{Name: IndexLane, Hash: AttrLane, HashType: "S", Range: AttrLaneAt, RangeType: "N"},
			{Name: IndexOpen, Hash: AttrOpen, HashType: "S", Range: AttrOpenAt, RangeType: "S"},
		},
	}
}

// History holds what is too large for the request, keyed by the request's key.
func History() Table { return Table{Hash: AttrPK, Range: AttrSK, TTL: AttrExpires} }

// Connections holds one item per open connection.
func Connections() Table { return Table{Hash: AttrPK, Range: AttrSK, TTL: AttrExpires} }

// StreamPattern is the filter of the event source mapping: only what is to be
// started reaches the dispatcher. Beats and ends are filtered out at no cost.
const StreamPattern = `{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"state":{"S":["PENDING"]},"start":{"N":[{"exists":true}]}}}}`

// Times that both sides go by.
const (
	// ConnectionLife is how long API Gateway keeps a WebSocket connection ("Amazon
	// API Gateway quotas": connection duration).
	ConnectionLife = 2 * time.Hour
	// MaxQuickTimeout is the longest time for a quick handler. It leaves some for its
	// grace, for storing what is promoted and for the way back: API Gateway waits 29
	// seconds for an answer.
	MaxQuickTimeout = 25 * time.Second
)

// Sources of the dispatcher that are not AWS's own event shapes.
const (
	// SweepEvent is the input of the schedule.
	SweepEvent = `{"streamer":"sweep"}`
)

// Keys of the authorizer's context, all strings.
const (
	CtxUser        = "user"
	CtxTenant      = "tenant"
	CtxPermissions = "permissions" // JSON array of strings
	CtxExpires     = "exp"         // epoch seconds: the token's exp and the leeway
)
