package lambda

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// Limits of a function's configuration.
const (
	maxEnvironment = 4 << 10 // bytes of all names and values, as a JSON object
	minMemory      = 128
	maxMemory      = 10240
	maxTimeout     = 900 * time.Second
	maxUnzipped    = 250 << 20
	maxZipped      = 50 << 20 // of a package that is uploaded with the call
)

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

// reservedVariables cannot be set by a function's configuration. AWS_… names
// beyond these are allowed, as are LANG, PATH, TZ and LD_LIBRARY_PATH.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
var reservedVariables = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true,
	"AWS_EXECUTION_ENV": true, "AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true,
	"AWS_LAMBDA_FUNCTION_VERSION": true, "AWS_LAMBDA_INITIALIZATION_TYPE": true,
	"AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true, "AWS_ACCESS_KEY": true,
	"AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "AWS_LAMBDA_METADATA_API": true, "AWS_LAMBDA_METADATA_TOKEN": true,
	"LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

// normalise checks the specification and fills in defaults.
func (p FunctionSpec) normalise() (FunctionSpec, error) {
	if !functionName.MatchString(p.Name) {
		return p, invalid("function name %q: want 1 to 64 of a-z A-Z 0-9 _ -", p.Name)
	}
	if i := strings.LastIndex(p.RoleName, "/"); i >= 0 {
		p.RoleName = p.RoleName[i+1:]
	}
	if p.RoleName == "" {
		return p, invalid("function %s: no role", p.Name)
	}
	if p.Architecture == "" {
		p.Architecture = "x86_64"
	}
	if p.Architecture != "x86_64" && p.Architecture != "arm64" {
		return p, invalid("function %s: architecture %q: want x86_64 or arm64", p.Name, p.Architecture)
	}
	if p.MemoryMB == 0 {
		p.MemoryMB = minMemory
	}
	if p.MemoryMB < minMemory || p.MemoryMB > maxMemory {
		return p, invalid("function %s: memory %d MB: want %d to %d", p.Name, p.MemoryMB, minMemory, maxMemory)
	}
	if p.Timeout == 0 {
		p.Timeout = 3 * time.Second
	}
	if p.Timeout < time.Second || p.Timeout > maxTimeout || p.Timeout%time.Second != 0 {
		return p, invalid("function %s: timeout %s: want 1 to 900 whole seconds", p.Name, p.Timeout)
	}
	if p.LogGroup == "" {
		p.LogGroup = "/aws/lambda/" + p.Name
	}
	if p.Reserved != nil && *p.Reserved < 0 {
		return p, invalid("function %s: reserved concurrency %d is negative", p.Name, *p.Reserved)
	}
	if p.Code != nil && p.Zip != nil {
		return p, invalid("function %s: both Code and Zip are set", p.Name)
	}
	if p.Runtime != "" && p.Runtime != "provided.al2023" && p.Runtime != "provided.al2" {
		return p, invalid("function %s: runtime %s is not supported locally: want provided.al2023 or provided.al2", p.Name, p.Runtime)
	}
	return p, checkVariables(p.Name, p.Env)
}

func checkVariables(name string, env map[string]string) error {
	for k := range env {
		if reservedVariables[k] {
			return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", k)
		}
		if !variableName.MatchString(k) {
			return invalid("function %s: environment variable name %q: want letters, digits and _, a letter first", name, k)
		}
	}
	if size := measure(env); size > maxEnvironment {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. Function %s has %d bytes.", name, size)
	}
	return nil
}

// measure is how many bytes the variables take as JSON.
func measure(env map[string]string) int {
	if len(env) == 0 {
		return 0
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(env) // strings always encode
	return out.Len() - len("\n")
}
