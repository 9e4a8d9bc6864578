package localcloud

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// Config says how a cloud is started. The zero value works: TCP on loopback,
// functions as processes, AWS's limits.
type Config struct {
	// Concurrency is how many invocations run at once in all. Default 1000.
	Concurrency int
	// Dir is where code is unpacked and instances have their /tmp. Default: a
	// temporary directory, removed by Close.
	Dir string
	// Environ is added to the environment of every instance, over everything
	// else. AWS_ENDPOINT_URL is Cloud.Endpoint when it is not in here.
	Environ map[string]string
	// Funcs, when set, runs functions in this process: it is called for every new
	// instance, as a process's main is, and returns the handler. An error is an
	// initialisation that failed. nil: functions are processes, if not InMemory.
	Funcs func(Instance) (func(ctx context.Context, payload []byte) ([]byte, error), error)
	// GracefulStop lets idle processes exit by themselves, so that they write
	// coverage counters (GOCOVERDIR); AWS kills them.
	GracefulStop bool
	// InMemory needs no sockets: Cloud.Dial and Cloud.HTTPClient reach the cloud,
	// nothing else does. For testing/synctest. Listen is not used. Functions need
	// Funcs: without it their invocations fail, for a process has no way in.
	InMemory bool
	// Limits of the services.
	Limits Limits
	// Listen opens a listener: "aws" for Cloud.Endpoint, else the name of a
	// WebSocket API. Default: a free port of 127.0.0.1.
	Listen func(name string) (net.Listener, error)
	// Log takes what functions write, as their roles may write it to their log
	// groups, and what the cloud has to say of its own. It is called from many
	// goroutines; nil throws lines away.
	Log func(Line)
}

// Line is one line of a log.
type Line struct {
	// Source is lambda for the log of a function: its output and Lambda's START,
	// END and REPORT. All else is a problem that no function hears of: gateway,
	// scheduler, or platform for one around a function, such as an event source
	// that its role may not read any more, a record that does not reach its
	// destination, or a log that its role may not write.
	Source   string
	Name     string // of the function, API or schedule
	Instance string // of the function, for lambda; "" otherwise
	Text     string
}

// Limits are the times of the cloud, AWS's own by default: with processes time
// is real, and a test may not have two hours.
type Limits struct {
	Idle             time.Duration // connection without a message; default 10 min
	MaxAge           time.Duration // connection in all; default 2 h
	TTLDelay         time.Duration // from an item's expiry to its deletion; default 1 s
	InstanceIdle     time.Duration // life of an idle instance; default 5 min
	ScheduleInterval time.Duration // replaces what schedules say; default: nothing is replaced
	// AsyncRetries are the waits before the retries of an asynchronous
	// invocation that failed. Default 1 min, 2 min.
	AsyncRetries []time.Duration
	// StreamRetryMin and StreamRetryMax bound the wait before a failed batch of a
	// stream is tried again. Default 1 s, 1 min.
	StreamRetryMin, StreamRetryMax time.Duration
	// Requests and Burst are API Gateway's rate of the account (default 10,000
	// per second, 5,000); Connections is how many may be opened in a second
	// (500). Negative Requests or Connections is no limit.
	Requests    float64
	Burst       int
	Connections float64
}

// Instance is what a function of Config.Funcs is started as.
type Instance struct {
	Function string
	Role     string
	ID       string // see Cloud.Kill
	// Env is the whole environment, credentials of the role included.
	Env map[string]string
	// HTTP reaches the cloud, in memory too.
	HTTP *http.Client
	// Log writes a line to the function's log. EMF metrics are such lines.
	Log func(line string)
}

// Credentials sign requests.
type Credentials struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string // "" for the account's own keys
}

// ErrKilled is the cause of the end of the context of a function of
// Config.Funcs when its instance was ended meanwhile: whatever it does from then
// on, a process would not do.
var ErrKilled = lambda.ErrKilled

func (c Config) withDefaults() Config {
	if c.Listen == nil {
		c.Listen = func(string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	}
	return c
}
