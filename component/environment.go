package component

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// maxEnvironment is what the variables of a function may take together, as JSON,
// which is what Lambda's error says it has measured (Lambda developer guide, "Lambda
// quotas": environment variables).
const maxEnvironment = 4 << 10

func measured(env map[string]string) int {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(env) // texts can always be written
	return out.Len() - len("\n")
}

// fits looks at what is known of the variables of router and processor before
// anything is made: those of the handlers, and the names of ours.
func (s *settings) fits(c *checker) {
	least := 0
	for _, role := range []contract.Role{contract.RoleRouter, contract.RoleProcessor} {
		env := map[string]string{}
		for k, in := range s.handlerEnv {
			env[k], _ = known[string](in)
		}
		for _, k := range contract.Environment(role) {
			env[k] = ""
		}
		least = max(least, measured(env))
	}
	if least > maxEnvironment {
		c.add("handlers.environment", "makes at least %d bytes of variables, with Streamer's own, and Lambda takes %d: keep what is large elsewhere, and its name here", least, maxEnvironment)
	}
}

// sized is the function's role, which is known once it is known that all its variables
// are not more than Lambda takes.
func sized(role contract.Role, env pulumi.StringMap) pulumi.StringInput {
	names := slices.Sorted(maps.Keys(env))
	values := make([]any, len(names))
	for i, name := range names {
		values[i] = env[name]
	}
	checked := pulumi.All(values...).ApplyT(func(values []any) (string, error) {
		all := map[string]string{contract.EnvRole: string(role)}
		for i, name := range names {
			all[name] = values[i].(string)
		}
		n := measured(all)
		if n <= maxEnvironment {
			return string(role), nil
		}
		path, advice := "handlers.environment", "keep what is large elsewhere, and its name here"
		if role == contract.RoleConnect {
			path, advice = "auth", "use jwksUrl, or fewer keys"
		}
		return "", late(path, fmt.Sprintf("makes the variables of function %s take %d bytes, and Lambda takes %d: %s", role, n, maxEnvironment, advice))
	}).(pulumi.StringOutput)
	// It is made of secrets, and holds none.
	return pulumi.Unsecret(checked).(pulumi.StringOutput)
}
