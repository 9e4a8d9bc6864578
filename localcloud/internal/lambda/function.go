package lambda

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// FunctionSpec describes a function.
type FunctionSpec struct {
	Name         string
	RoleName     string // name of the role, or its ARN
	Handler      string
	Runtime      string
	Architecture string // arm64 or x86_64; default x86_64, as on AWS
	// Code is the content of the deployment package, Zip the package itself.
	// One of them; none when the launcher needs no code.
	Code       fs.FS
	Zip        []byte
	CodeSHA256 string // base64; computed when ""
	Env        map[string]string
	MemoryMB   int           // 128 to 10240, default 128
	Timeout    time.Duration // 1 s to 900 s in whole seconds, default 3 s
	Reserved   *int          // reserved concurrency, nil for none
	LogGroup   string        // default /aws/lambda/<name>
	LogFormat  string        // Text (default) or JSON
	Tracing    string        // PassThrough (default) or Active
	LogLevel   string        // with JSON only
}

// FunctionInfo is what AWS knows of a function.
type FunctionInfo struct {
	ARN, InvokeARN, Name, Version, RoleARN string
	CodeSHA256                             string
	CodeSize                               int64
	LastModified                           time.Time
	Spec                                   FunctionSpec // without Code and Zip
}

// function is guarded by Service.mu.
type function struct {
	info        FunctionInfo
	current     *generation
	running     int // invocations under way, of all generations
	reserved    *int
	permissions map[string]PermissionSpec
	async       AsyncSpec
	logLost     string // for want of which right, on what; "" when nothing is lost
}

// FunctionARN returns the ARN of a function.
func FunctionARN(name string) string {
	return "arn:aws:lambda:" + account.Region + ":" + account.ID + ":function:" + name
}

// PutFunction creates a function or replaces it: invocations under way finish
// on the old code and configuration, later ones get the new. It returns an
// *Invalid for a specification that Lambda refuses, an *ArchitectureError for
// a binary of another machine.
func (s *Service) PutFunction(spec FunctionSpec) (FunctionInfo, error) {
	spec, err := spec.normalise()
	if err != nil {
		return FunctionInfo{}, err
	}
	if err := s.checkRole(&spec); err != nil {
		return FunctionInfo{}, err
	}
	c, err := s.unpack(spec)
	if err != nil {
		return FunctionInfo{}, err
	}
	info := FunctionInfo{
		ARN: FunctionARN(spec.Name), Name: spec.Name, Version: "$LATEST",
		RoleARN:    "arn:aws:iam::" + account.ID + ":role/" + spec.RoleName,
		CodeSHA256: c.sha, CodeSize: c.size, LastModified: time.Now(),
	}
	info.InvokeARN = "arn:aws:apigateway:" + account.Region + ":lambda:path/2015-03-31/functions/" + info.ARN + "/invocations"
	info.Spec = spec
	info.Spec.Code, info.Spec.Zip = nil, nil

	s.mu.Lock()
	f := s.functions[spec.Name]
	if err := s.reserve(f, spec.Reserved); err != nil {
		s.mu.Unlock()
		s.releaseCode(c)
		return FunctionInfo{}, err
	}
	var old *generation
	if f == nil {
		f = &function{permissions: map[string]PermissionSpec{}}
		s.functions[spec.Name] = f
	} else {
		old = f.current
	}
	f.info, f.reserved = info, spec.Reserved
	f.current = &generation{fn: f, info: info, code: c, all: map[*environment]struct{}{}}
	s.mu.Unlock()
	if old != nil {
		s.retire(old)
	}
	return info, nil
}

// reserve moves the account's sum of reserved concurrency from f's to want.
// AWS keeps at least 100 of the account unreserved. s.mu is held.
func (s *Service) reserve(f *function, want *int) error {
	const minUnreserved = 100
	sum := s.reserved
	if f != nil && f.reserved != nil {
		sum -= *f.reserved
	}
	if want != nil {
		sum += *want
		if *want > 0 && s.opts.Concurrency-sum < minUnreserved {
			return invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", minUnreserved)
		}
	}
	s.reserved = sum
	return nil
}

// DeleteFunction removes a function with its permissions and configuration.
// Invocations under way finish.
func (s *Service) DeleteFunction(name string) error {
	s.mu.Lock()
	f, err := s.find(name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	delete(s.functions, f.info.Name)
	if f.reserved != nil {
		s.reserved -= *f.reserved
	}
	s.mu.Unlock()
	s.retire(f.current)
	return nil
}

// Function returns what is known of the function; ok is false for none.
func (s *Service) Function(name string) (FunctionInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(name)
	if err != nil {
		return FunctionInfo{}, false
	}
	return f.info, true
}

// known says whether there is that function.
func (s *Service) known(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(name)
	return err == nil
}

// Functions returns all functions, by name.
func (s *Service) Functions() []FunctionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []FunctionInfo
	for _, name := range slices.Sorted(maps.Keys(s.functions)) {
		out = append(out, s.functions[name].info)
	}
	return out
}

// find resolves a name, a partial or a full ARN, each with an optional
// qualifier, of which only $LATEST exists. s.mu is held.
func (s *Service) find(ref string) (*function, error) {
	name, qualifier := splitReference(ref)
	if f := s.functions[name]; f != nil && (qualifier == "" || qualifier == "$LATEST") {
		return f, nil
	}
	arn := FunctionARN(name)
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return nil, &NotFound{Resource: arn}
}

// splitReference takes apart the forms of FunctionName: name, name:qualifier,
// account:function:name and arn:aws:lambda:region:account:function:name.
func splitReference(ref string) (name, qualifier string) {
	if _, rest, ok := strings.Cut(ref, "function:"); ok {
		ref = rest
	}
	name, qualifier, _ = strings.Cut(ref, ":")
	return name, qualifier
}
