package component

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// settings is StreamerArgs with its defaults, checked.
type settings struct {
	stage        string
	architecture string // as Lambda names it
	override     bool   // by the host of a program that runs locally
	protect      bool
	auth         pulumi.StringOutput
	tags         pulumi.StringMapInput // nil: none
	handlerEnv   pulumi.StringMap
	sizes        map[contract.Role]size
	retention    pulumi.IntOutput
	maxJobs      pulumi.IntPtrInput // nil: no limit
	burst        pulumi.IntOutput
	rate         pulumi.Float64Output
	overload     overload

	largePayloads bool
	origins       pulumi.StringArray // that may connect

	logLevel, namespace, quickThreshold, quickTimeout, lease pulumi.StringOutput
}

// size is the size of a function: MB and seconds.
type size struct{ memory, timeout pulumi.IntOutput }

// architectures are the names that Lambda and Go have for the same machine.
var architectures = map[string]string{"arm64": "arm64", "x86_64": "amd64"}

var stageName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// settle checks the arguments and fills in the defaults. The error names every
// property that is wrong.
func (a *StreamerArgs) settle(getenv func(string) string) (*settings, error) {
	c := &checker{}
	if a == nil {
		a = &StreamerArgs{}
	}
	s := &settings{
		stage: a.StageName, architecture: a.Architecture, protect: a.Protect == nil || *a.Protect,
		handlerEnv: pulumi.StringMap{},
	}
	if s.stage == "" {
		s.stage = "live"
	}
	if !stageName.MatchString(s.stage) {
		c.add("stageName", "is %q, may hold 1 to 128 letters, digits, _ and -", s.stage)
	}
	s.largePayloads, s.origins = a.LargePayloads, a.AllowedOrigins
	if len(s.origins) == 0 {
		s.origins = pulumi.StringArray{pulumi.String("*")}
	}
	s.machine(c, getenv(contract.EnvBuildArch))
	s.handlers(c, a.Handlers)
	s.auth = c.auth(a.Auth, a.AllowedOrigins)
	s.limits(c, a)
	s.overload = c.overload(a.Limits, a.Paused)
	s.logLevel = c.text("logLevel", a.LogLevel, "info", oneOf("debug", "info", "warn", "error"))
	s.namespace = c.text("metricsNamespace", a.MetricsNamespace, "Streamer", namespace)
	s.quick(c, a)
	s.lease = c.text("lease", a.Lease, "30s", between(time.Second, 15*time.Minute))
	s.label(c, a.Tags)
	return s, c.err()
}

func (s *settings) label(c *checker, in map[string]pulumi.StringInput) {
	if len(in) == 0 {
		return
	}
	tags := pulumi.StringMap{}
	for _, k := range slices.Sorted(maps.Keys(in)) {
		path := fmt.Sprintf("tags[%q]", k)
		switch {
		case k == "" || strings.HasPrefix(strings.ToLower(k), "aws:"):
			c.add(path, "is a name that AWS refuses")
		case !given(in[k]):
			c.add(path, "is null")
		}
		tags[k] = in[k]
	}
	s.tags = tags
}

// machine settles the architecture. The host of a program that runs locally
// says which machine it is; that goes before the argument.
func (s *settings) machine(c *checker, host string) {
	if s.architecture == "" {
		s.architecture = "arm64"
	}
	if _, ok := architectures[s.architecture]; !ok {
		c.add("architecture", "is %q, may be arm64 or x86_64", s.architecture)
	}
	if host == "" {
		return
	}
	for name, goarch := range architectures {
		if goarch == host {
			s.architecture, s.override = name, true
			return
		}
	}
	c.add("architecture", "cannot be %s, as %s says: Lambda knows arm64 and amd64", host, contract.EnvBuildArch)
}

func (s *settings) handlers(c *checker, h *Handlers) {
	switch {
	case h == nil || h.Package == "" && !given(h.Archive):
		c.add("handlers", "is required: give the directory of a main package as package, or a built archive as archive")
		return
	case h.Package != "" && given(h.Archive):
		c.add("handlers", "has both package and archive: give one of them")
	}
	for _, k := range slices.Sorted(maps.Keys(h.Environment)) {
		path := fmt.Sprintf("handlers.environment[%q]", k)
		switch {
		case !variable.MatchString(k):
			c.add(path, "is not a name that Lambda accepts: a letter, then letters, digits and _")
		case strings.HasPrefix(k, "STREAMER_"), strings.HasPrefix(k, "AWS_"), strings.HasPrefix(k, "LAMBDA_"):
			c.add(path, "is a name that Streamer or Lambda keeps for itself")
		case !given(h.Environment[k]):
			c.add(path, "is null")
		}
		s.handlerEnv[k] = h.Environment[k]
	}
	s.fits(c)
}

var variable = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]+$`)

// retentions are the numbers of days that CloudWatch Logs accepts
// (PutRetentionPolicy).
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func (s *settings) limits(c *checker, a *StreamerArgs) {
	sized := func(role contract.Role, f *Function, memory, timeout, lo, hi int) size {
		if f == nil {
			f = &Function{}
		}
		return size{
			memory:  c.whole(string(role)+".memorySize", f.MemorySize, memory, 128, 10240),
			timeout: c.whole(string(role)+".timeout", f.Timeout, timeout, lo, hi),
		}
	}
	s.sizes = map[contract.Role]size{
		// API Gateway waits 29 seconds for connect and router.
		contract.RoleConnect: sized(contract.RoleConnect, a.Connect, 256, 10, 1, 29),
		contract.RoleRouter:  sized(contract.RoleRouter, a.Router, 512, 29, 1, 29),
		// A wake message of a dispatcher that died is seen again after six times this.
		contract.RoleDispatcher: sized(contract.RoleDispatcher, a.Dispatcher, 256, 20, 10, 300),
		contract.RoleProcessor:  sized(contract.RoleProcessor, a.Processor, 1024, 900, 10, 900),
	}
	s.retention = c.number("logRetention", a.LogRetention, 30, func(n int) string {
		if !slices.Contains(retentions, n) {
			return fmt.Sprintf("is %d, may be one of %v", n, retentions)
		}
		return ""
	})
	if given(a.MaxJobs) {
		s.maxJobs = c.whole("maxJobs", a.MaxJobs, 1, 1, math.MaxInt32).ToIntPtrOutput()
	}
	t := a.Throttle
	if t == nil {
		t = &Throttle{}
	}
	s.burst = c.whole("throttle.burst", t.Burst, 2500, 1, math.MaxInt32)
	s.rate = c.decimal("throttle.rate", t.Rate, 5000, func(v float64) string {
		if !(v > 0 && v <= math.MaxFloat64) {
			return fmt.Sprintf("is %v, must be above 0", v)
		}
		return ""
	})
}

func oneOf(values ...string) func(string) string {
	return func(v string) string {
		if !slices.Contains(values, v) {
			return fmt.Sprintf("is %q, may be one of %s", v, strings.Join(values, ", "))
		}
		return ""
	}
}

func between(lo, hi time.Duration) func(string) string {
	return func(v string) string {
		d, err := time.ParseDuration(v)
		switch {
		case err != nil:
			return fmt.Sprintf("is %q, must be a duration such as 5s", v)
		case d < lo || d > hi:
			return fmt.Sprintf("is %s, may be %s to %s", d, lo, hi)
		}
		return ""
	}
}

func namespace(v string) string {
	if v == "" || len(v) > 255 || strings.HasPrefix(v, "AWS/") {
		return fmt.Sprintf("is %q, must have 1 to 255 characters and not begin with AWS/", v)
	}
	return ""
}
