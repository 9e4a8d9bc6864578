package lambda

import (
	"maps"
	"strconv"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// environ returns the environment of an instance, as provided.al2023 has it.
// Two variables differ from AWS: LAMBDA_TASK_ROOT is the directory the code is
// really in, and TMPDIR stands for /tmp, which processes of one machine share.
// AWS_LAMBDA_RUNTIME_API is added by the launcher.
func (s *Service) environ(e *environment) map[string]string {
	spec := e.gen.info.Spec
	env := map[string]string{
		"AWS_REGION":                      account.Region,
		"AWS_DEFAULT_REGION":              account.Region,
		"AWS_LAMBDA_FUNCTION_NAME":        spec.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(spec.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       spec.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      e.logStream,
		"LAMBDA_TASK_ROOT":                e.gen.code.dir,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"_HANDLER":                        spec.Handler,
		"TZ":                              ":UTC",
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH":                 "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         "169.254.100.1:2000",
		"_AWS_XRAY_DAEMON_ADDRESS":        "169.254.100.1",
		"_AWS_XRAY_DAEMON_PORT":           "2000",
	}
	if e.gen.code.dir == "" {
		env["LAMBDA_TASK_ROOT"] = "/var/task"
	}
	if spec.LogFormat == "JSON" {
		env["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
		if spec.LogLevel != "" {
			env["AWS_LAMBDA_LOG_LEVEL"] = spec.LogLevel
		}
	}
	if e.temp != "" {
		env["TMPDIR"] = e.temp
	}
	maps.Copy(env, spec.Env)
	if s.opts.Credentials != nil {
		keys := s.opts.Credentials(spec.RoleName, spec.Name)
		e.accessKey = keys["AWS_ACCESS_KEY_ID"]
		maps.Copy(env, keys)
	}
	maps.Copy(env, s.opts.Environ)
	return env
}
