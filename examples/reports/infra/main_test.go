package main

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// key is a public key of no one: its private half was thrown away.
const key = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnhQWXBS3eys+WtoYTdoj7YXtSsbr
0h71qTgTqyq5h4EeQxpbIoHRRoN6XnjrXuYA6HnGwlDA+PaIR5BlHIxVoA==
-----END PUBLIC KEY-----
`

// engine answers in the place of Pulumi's and remembers what was registered.
type engine struct {
	mu    sync.Mutex
	types map[string]int
	env   []string
	jobs  []float64 // reserved concurrency
}

func (e *engine) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.types[args.TypeToken]++
	outputs := args.Inputs.Copy()
	outputs["arn"] = resource.NewStringProperty("arn:aws:mock:us-east-1:000000000000:" + args.Name)
	outputs["apiEndpoint"] = resource.NewStringProperty("wss://abc.execute-api.us-east-1.amazonaws.com")
	outputs["executionArn"] = outputs["arn"]
	outputs["streamArn"] = outputs["arn"]
	outputs["invokeArn"] = outputs["arn"]
	if _, ok := outputs["name"]; !ok {
		outputs["name"] = resource.NewStringProperty(args.Name + "-0a1b2c3")
	}
	if v, ok := args.Inputs["reservedConcurrentExecutions"]; ok {
		e.jobs = append(e.jobs, v.NumberValue())
	}
	if v, ok := args.Inputs["environment"]; ok {
		e.env = append(e.env, v.String())
	}
	return args.Name + "-id", outputs, nil
}

func (e *engine) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{
		"region": resource.NewStringProperty("us-east-1"), "name": resource.NewStringProperty("us-east-1"), "id": resource.NewStringProperty("us-east-1"),
		"accountId": resource.NewStringProperty("000000000000"), "partition": resource.NewStringProperty("aws"),
		"json": resource.NewStringProperty("{}"),
	}, nil
}

// TestProgram runs the whole program, handlers built and all.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the functions")
	}
	// The architecture of this machine is already in the build cache.
	t.Setenv("STREAMER_BUILD_ARCH", runtime.GOARCH)
	for name, tt := range map[string]struct {
		config map[string]string
		jobs   float64
	}{
		"with the key alone": {map[string]string{"reports:publicKey": key}, 10},
		"with more jobs":     {map[string]string{"reports:publicKey": key, "reports:maxJobs": "25"}, 25},
	} {
		t.Run(name, func(t *testing.T) {
			e := &engine{types: map[string]int{}}
			err := pulumi.RunErr(program, pulumi.WithMocks("reports", "dev", e), func(info *pulumi.RunInfo) { info.Config = tt.config })
			if err != nil {
				t.Fatal(err)
			}
			for token, want := range map[string]int{
				"aws:lambda/function:Function": 4, "aws:dynamodb/table:Table": 3, "aws:apigatewayv2/api:Api": 1, "aws:apigatewayv2/stage:Stage": 1,
			} {
				if e.types[token] != want {
					t.Errorf("%d resources of type %s, want %d", e.types[token], token, want)
				}
			}
			if len(e.jobs) != 1 || e.jobs[0] != tt.jobs {
				t.Errorf("concurrency is reserved: %v, want %v for the processor", e.jobs, tt.jobs)
			}
			if all := strings.Join(e.env, "\n"); !strings.Contains(all, "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnhQWXBS3eys+WtoYTdoj7YXtSsbr") {
				t.Error("no function was given the key")
			}
		})
	}
}

func TestJobsThatAreNoNumber(t *testing.T) {
	t.Parallel()
	err := pulumi.RunErr(program, pulumi.WithMocks("reports", "dev", &engine{types: map[string]int{}}), func(info *pulumi.RunInfo) {
		info.Config = map[string]string{"reports:publicKey": key, "reports:maxJobs": "many"}
	})
	if err == nil || !strings.Contains(err.Error(), "maxJobs") {
		t.Errorf("got %v, want an error that names the value", err)
	}
}

func TestProgramWithoutKey(t *testing.T) {
	t.Parallel()
	err := pulumi.RunErr(program, pulumi.WithMocks("reports", "dev", &engine{types: map[string]int{}}))
	if err == nil || !strings.Contains(err.Error(), "publicKey") {
		t.Errorf("got %v, want an error that names the missing value", err)
	}
}
