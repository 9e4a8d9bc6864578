package deploy_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/localcloud/deploy"
)

func TestUpMakesTheWholeSystem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	result := f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "sweep"))

	for _, c := range result.Changes {
		if c.Op != deploy.Create || c.ID == "" {
			t.Errorf("change = %+v, want a creation with an id", c)
		}
	}
	if got, want := len(result.Changes), 22; got != want {
		t.Errorf("%d resources, want %d:\n%s", got, want, changes(result))
	}
	for key, pattern := range map[string]string{
		"url":       `^ws://127\.0\.0\.1:\d+/v1$`,
		"region":    `^us-east-1$`,
		"document":  `^\{"Statement":\[\{"Action":"s3:Get\*","Effect":"Allow","Resource":"\*"\}\],"Version":"2012-10-17"\}$`,
		"streamArn": `^arn:aws:dynamodb:us-east-1:000000000000:table/requests-[0-9a-f]{7}/stream/`,
		"queueURL":  `/000000000000/wake-[0-9a-f]{7}$`,
		"function":  `^router-[0-9a-f]{7}$`,
	} {
		if got, _ := result.Outputs[key].(string); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("output %s = %q, want %s", key, got, pattern)
		}
	}
	secret, ok := result.Outputs["variables"].(deploy.Secret)
	if !ok {
		t.Fatalf("output variables = %v, want a secret", result.Outputs["variables"])
	}
	if variables := secret.Value.(map[string]any); variables["KEY"] != "hush" || !strings.HasPrefix(variables["ENDPOINT"].(string), "ws://") {
		t.Errorf("variables = %v, want key and endpoint", variables)
	}

	s := f.cloud.Services()
	info, ok := s.Functions.Function(result.Outputs["function"].(string))
	if !ok || info.Spec.Env["KEY"] != "hush" || info.Spec.Env["TABLE"] != s.Tables.Tables()[0] {
		t.Errorf("function = %+v, want one with the table's name and the key", info.Spec)
	}
	if got := len(s.Functions.Mappings()); got != 2 {
		t.Errorf("%d mappings, want 2", got)
	}
	if got := s.Schedules.Schedules(); len(got) != 1 {
		t.Errorf("schedules = %v, want one", got)
	}
}

func TestUpAgainChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "sweep"))
	second := f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "sweep"))
	if got := changes(second); got != "" || second.Same != len(first.Changes) {
		t.Errorf("changes = %q, same = %d, want none and %d", got, second.Same, len(first.Changes))
	}
	if first.Outputs["function"] != second.Outputs["function"] || first.Outputs["url"] != second.Outputs["url"] {
		t.Errorf("outputs = %v, want those of the first run %v", second.Outputs, first.Outputs)
	}
}

func TestOneByteOfCodeIsOneUpdate(t *testing.T) {
	t.Parallel()
	for name, archive := range map[string]func(f *fixture) pulumi.Archive{
		"file archive": func(f *fixture) pulumi.Archive { return pulumi.NewFileArchive(f.dir) },
		"asset archive": func(f *fixture) pulumi.Archive {
			return pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewFileAsset(f.dir + "/bootstrap")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			before := f.up(websocketSystem(archive(f), "sweep"))
			function := before.Outputs["function"].(string)
			old, _ := f.cloud.Services().Functions.Function(function)
			f.code("onf")

			preview, err := f.deployer.Preview(context.Background(), f.program(websocketSystem(archive(f), "sweep")))
			if err != nil {
				t.Fatal(err)
			}
			const want = "update aws:lambda/function:Function router code"
			if got := changes(preview); got != want {
				t.Errorf("preview changes = %q, want %q", got, want)
			}
			if now, _ := f.cloud.Services().Functions.Function(function); now.CodeSHA256 != old.CodeSHA256 {
				t.Error("the preview changed the function")
			}
			if got := changes(f.up(websocketSystem(archive(f), "sweep"))); got != want {
				t.Errorf("changes = %q, want %q", got, want)
			}
			if now, ok := f.cloud.Services().Functions.Function(function); !ok || now.CodeSHA256 == old.CodeSHA256 {
				t.Errorf("code after the change = %s, want another than %s", now.CodeSHA256, old.CodeSHA256)
			}
		})
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "sweep"))
	schedules := f.cloud.Services().Schedules.Schedules()

	alias := pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("sweep")}})
	if got := changes(f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "minutely", alias))); got != "" {
		t.Errorf("changes with an alias = %q, want none", got)
	}
	if got := f.cloud.Services().Schedules.Schedules(); got[0] != schedules[0] {
		t.Errorf("schedules = %v, want %v", got, schedules)
	}
	const want = "create aws:scheduler/schedule:Schedule hourly\ndelete aws:scheduler/schedule:Schedule minutely"
	if got := changes(f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "hourly"))); got != want {
		t.Errorf("changes without an alias = %q, want %q", got, want)
	}
	if got := f.cloud.Services().Schedules.Schedules(); len(got) != 1 || !strings.HasPrefix(got[0], "hourly-") {
		t.Errorf("schedules = %v, want the new one alone", got)
	}
}

func TestWhatVanishesIsDeletedDependentsFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.up(websocketSystem(pulumi.NewFileArchive(f.dir), "sweep"))
	result := f.up(func(*pulumi.Context) error { return nil })

	at := map[string]int{}
	for i, c := range result.Changes {
		if c.Op != deploy.Delete {
			t.Errorf("change = %+v, want a deletion", c)
		}
		at[c.Type+" "+c.Name] = i
	}
	for _, order := range [][2]string{
		{"aws:apigatewayv2/stage:Stage stage", "aws:apigatewayv2/deployment:Deployment api"},
		{"aws:apigatewayv2/deployment:Deployment api", "aws:apigatewayv2/route:Route connect"},
		{"aws:apigatewayv2/route:Route connect", "aws:apigatewayv2/authorizer:Authorizer connect"},
		{"aws:apigatewayv2/authorizer:Authorizer connect", "aws:apigatewayv2/api:Api api"},
		{"aws:lambda/eventSourceMapping:EventSourceMapping stream", "aws:lambda/function:Function router"},
		{"aws:lambda/function:Function router", "aws:iam/rolePolicy:RolePolicy router"},
		{"aws:iam/rolePolicy:RolePolicy router", "aws:iam/role:Role router"},
		{"aws:sqs/queue:Queue wake", "aws:sqs/queue:Queue dead"},
	} {
		if at[order[0]] >= at[order[1]] {
			t.Errorf("%s was deleted after %s", order[0], order[1])
		}
	}
	assertEmpty(f)
}

func TestDestroyLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := websocketSystem(pulumi.NewFileArchive(f.dir), "sweep")
	f.up(body)
	if _, err := f.deployer.Destroy(context.Background(), f.program(body)); err != nil {
		t.Fatal(err)
	}
	assertEmpty(f)
	f.up(body) // and it can be made again
}

func assertEmpty(f *fixture) {
	f.Helper()
	s := f.cloud.Services()
	for what, n := range map[string]int{
		"tables": len(s.Tables.Tables()), "queues": len(s.Queues.Queues()), "functions": len(s.Functions.Functions()),
		"mappings": len(s.Functions.Mappings()), "roles": len(s.Roles.Roles()), "schedules": len(s.Schedules.Schedules()),
	} {
		if n != 0 {
			f.Errorf("%d %s are left", n, what)
		}
	}
}
