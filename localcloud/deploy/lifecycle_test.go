package deploy_test

import (
	"context"
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/localcloud/deploy"
	localtable "github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// table is a program of one table; name "" is made.
func table(hash, name string, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		args := &dynamodb.TableArgs{
			HashKey:    pulumi.String(hash),
			Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String(hash), Type: pulumi.String("S")}},
		}
		if name != "" {
			args.Name = pulumi.String(name)
		}
		made, err := dynamodb.NewTable(ctx, "t", args, opts...)
		if err == nil {
			_, err = sqs.NewQueue(ctx, "q", &sqs.QueueArgs{Tags: pulumi.StringMap{"table": made.Name}})
			ctx.Export("name", made.Name)
			ctx.Export("arn", made.Arn)
		}
		return err
	}
}

func TestReplacement(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ physical, want string }{
		"made name":  {"", "replace aws:dynamodb/table:Table t hashKey\nupdate aws:sqs/queue:Queue q tags\ndelete aws:dynamodb/table:Table t"},
		"given name": {"fixed", "replace aws:dynamodb/table:Table t hashKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			before := f.up(table("a", tt.physical)).Outputs["name"]
			result := f.up(table("b", tt.physical))
			if got := changes(result); !strings.HasPrefix(got, strings.Split(tt.want, "\n")[0]) || (tt.physical == "" && got != tt.want) {
				t.Errorf("changes:\n%s\nwant:\n%s", got, tt.want)
			}
			after := result.Outputs["name"].(string)
			if (after == before) != (tt.physical != "") {
				t.Errorf("name = %s after %s", after, before)
			}
			if got := f.cloud.Services().Tables.Tables(); !slices.Equal(got, []string{after}) {
				t.Errorf("tables = %v, want %s alone", got, after)
			}
			if info, _ := f.cloud.Services().Tables.Table(after); info.Spec.Hash != "b" {
				t.Errorf("hash key = %s, want b", info.Spec.Hash)
			}
			if got := changes(f.up(table("b", tt.physical))); got != "" {
				t.Errorf("changes of the next run = %q, want none", got)
			}
		})
	}
}

// A replacement under another name leaves one resource, also when the first try
// to make it fails.
func TestReplacementOfARenamedResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(name, hash, attribute string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := dynamodb.NewTable(ctx, name, &dynamodb.TableArgs{
				HashKey: pulumi.String(hash), Name: pulumi.String(name),
				Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String(attribute), Type: pulumi.String("S")}},
			}, pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("old")}}))
			return err
		}
	}
	f.up(body("old", "a", "a"))
	if _, err := f.cloud.Services().Tables.CreateTable(localtable.TableSpec{Name: "new", Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	f.refused(body("new", "b", "b")) // another table has the name
	if err := f.cloud.Services().Tables.DeleteTable("new"); err != nil {
		t.Fatal(err)
	}
	if got := changes(f.up(body("new", "b", "b"))); !strings.Contains(got, "dynamodb/table:Table new") || !strings.Contains(got, "delete aws:dynamodb/table:Table old") {
		t.Errorf("changes = %q, want the new table and the deletion of the old one", got)
	}
	if got := f.cloud.Services().Tables.Tables(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("tables = %v, want the new one alone", got)
	}
	if got := changes(f.up(body("new", "b", "b"))); got != "" {
		t.Errorf("changes of the next run = %q, want none", got)
	}
}

func TestProtection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.up(table("a", "", pulumi.Protect(true)))
	err := f.refused(table("b", "", pulumi.Protect(true)))
	if len(err.Problems) != 1 || err.Problems[0].Property != "hashKey" || !strings.Contains(err.Problems[0].Reason, "protected") {
		t.Errorf("replacement: error = %v, want the protection", err)
	}
	if err := f.refused(func(*pulumi.Context) error { return nil }); !strings.Contains(err.Error(), "it is protected") {
		t.Errorf("removal: error = %v, want the protection", err)
	}
	if _, err := f.deployer.Destroy(context.Background(), f.program(nil)); err == nil || !strings.Contains(err.Error(), "it is protected") {
		t.Errorf("destroy: error = %v, want the protection", err)
	}
	if got := len(f.cloud.Services().Tables.Tables()); got != 1 {
		t.Errorf("%d tables, want the protected one", got)
	}
	f.up(table("a", ""))
	f.up(func(*pulumi.Context) error { return nil })
	assertEmpty(f)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.up(table("a", ""))
	if got := changes(f.up(table("b", "", pulumi.IgnoreChanges([]string{"hashKey", "attributes"})))); got != "" {
		t.Errorf("ignored changes = %q, want none", got)
	}
	f.up(table("a", "", pulumi.RetainOnDelete(true)))
	f.up(func(*pulumi.Context) error { return nil })
	if got := len(f.cloud.Services().Tables.Tables()); got != 1 {
		t.Errorf("%d tables, want the retained one", got)
	}
}

func TestAnAliasAtTheTop(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(name string, opts ...pulumi.ResourceOption) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := sqs.NewQueue(ctx, name, nil, opts...)
			return err
		}
	}
	f.up(body("old"))
	if got := changes(f.up(body("new", pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("old")}})))); got != "" {
		t.Errorf("changes after the rename = %q, want none", got)
	}
}

func TestTheChildrenOfARenamedComponentStay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(name, typ string, aliases ...pulumi.Alias) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			c := &struct{ pulumi.ResourceState }{}
			if err := ctx.RegisterComponentResource(typ, name, c, pulumi.Aliases(aliases)); err != nil {
				return err
			}
			_, err := sqs.NewQueue(ctx, name+"-q", nil, pulumi.Parent(c))
			return err
		}
	}
	f.up(body("old", "test:index:C"))
	if got := changes(f.up(body("new", "test:index:C", pulumi.Alias{Name: pulumi.String("old")}))); got != "" {
		t.Errorf("changes after the rename = %q, want none", got)
	}
	if got := changes(f.up(body("new", "test:index:D", pulumi.Alias{Type: pulumi.String("test:index:C")}))); got != "" {
		t.Errorf("changes after the change of type = %q, want none", got)
	}
	if got := len(f.cloud.Services().Queues.Queues()); got != 1 {
		t.Errorf("%d queues, want 1", got)
	}
}

func TestAFailedRunDeletesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.up(table("a", ""))
	boom := errors.New("the body says no")
	if err := f.refused(func(*pulumi.Context) error { return boom }); !strings.Contains(err.Program, boom.Error()) {
		t.Errorf("error = %v, want the body's", err)
	}
	if got := len(f.cloud.Services().Tables.Tables()); got != 1 {
		t.Errorf("%d tables after a failed run, want 1", got)
	}
	// A replacement whose run fails is finished by the next good one.
	failing := func(ctx *pulumi.Context) error { return errors.Join(table("b", "")(ctx), boom) }
	f.refused(failing)
	if got := len(f.cloud.Services().Tables.Tables()); got != 2 {
		t.Errorf("%d tables after a failed replacement, want both", got)
	}
	if got := changes(f.up(table("b", ""))); !strings.Contains(got, "delete aws:dynamodb/table:Table t") {
		t.Errorf("changes = %q, want the replaced table deleted", got)
	}
	if got := len(f.cloud.Services().Tables.Tables()); got != 1 {
		t.Errorf("%d tables, want 1", got)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := websocketSystem(pulumi.NewFileArchive(f.dir), "sweep")
	preview, err := f.deployer.Preview(context.Background(), f.program(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(preview.Changes); got != 22 {
		t.Errorf("%d changes, want 22:\n%s", got, changes(preview))
	}
	if preview.Outputs["url"] != (deploy.Unknown{}) {
		t.Errorf("url = %v, want it unknown", preview.Outputs["url"])
	}
	assertEmpty(f)

	made := f.up(body)
	preview, err = f.deployer.Preview(context.Background(), f.program(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := changes(preview); got != "" || preview.Outputs["url"] != made.Outputs["url"] {
		t.Errorf("changes = %q, url = %v, want none and %v", got, preview.Outputs["url"], made.Outputs["url"])
	}
	preview, err = f.deployer.Preview(context.Background(), f.program(func(*pulumi.Context) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(preview.Changes); got != 22 || preview.Changes[0].Op != deploy.Delete {
		t.Errorf("changes = %q, want 22 deletions", changes(preview))
	}
	if got := changes(f.up(body)); got != "" {
		t.Errorf("changes after the previews = %q, want none", got)
	}
}

// program builds testdata/program once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join("testdata", "program"))
	if err != nil {
		return "", err
	}
	binary := filepath.Join(testDir, "program")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, dir).CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return binary, nil
})

func TestProgramAsAProcess(t *testing.T) {
	t.Parallel()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	d := deploy.New(newCloud(t))
	run := func(delay string, env ...string) (deploy.Result, []string, error) {
		var mu sync.Mutex
		var lines []string
		result, err := d.Up(t.Context(), deploy.Program{
			Command: []string{binary}, Dir: t.TempDir(), Env: env, Project: "proj", Stack: "dev",
			Config: map[string]string{"proj:delay": delay},
			Log: func(severity, line string) {
				mu.Lock()
				defer mu.Unlock()
				lines = append(lines, severity+" "+line)
			},
		})
		mu.Lock()
		defer mu.Unlock()
		return result, lines, err
	}
	result, lines, err := run("1")
	if err != nil {
		t.Fatal(err)
	}
	if arn, _ := result.Outputs["arn"].(string); !strings.HasPrefix(arn, "arn:aws:sqs:us-east-1:000000000000:jobs-") {
		t.Errorf("arn = %q", arn)
	}
	if !slices.Contains(lines, "stdout printed") {
		t.Errorf("lines = %q, want what the program printed", lines)
	}
	if result, _, err := run("2"); err != nil || changes(result) != "update aws:sqs/queue:Queue jobs delaySeconds" {
		t.Errorf("changes = %q, error = %v, want an update", changes(result), err)
	}
	for name, want := range map[string]string{
		"fails":  "the body says no",
		"silent": "program ended before it contacted the local cloud: exit status 3",
	} {
		if _, _, err := run("2", "PROGRAM="+name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PROGRAM=%s: error = %v, want %s", name, err, want)
		}
	}
	if _, _, err := run("1000"); err == nil || !strings.Contains(err.Error(), "delaySeconds: must be from 0 to 900, is 1000\n    at ") || strings.Count(err.Error(), "is 1000") != 1 {
		t.Errorf("error = %v, want the refusal once, with its line", err)
	}
}

func TestCancellationKillsTheProgram(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := deploy.New(newCloud(t))
	start := time.Now()
	_, err := d.Up(ctx, deploy.Program{Command: []string{"sh", "-c", "sleep 60 & wait"}, Project: "proj", Stack: "dev"})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 30*time.Second {
		t.Errorf("error = %v after %s, want the deadline", err, time.Since(start))
	}
}

func TestWithoutAProgram(t *testing.T) {
	t.Parallel()
	d := deploy.New(newCloud(t))
	for want, p := range map[string]deploy.Program{
		"project and stack must be named":          {Command: []string{"true"}},
		"neither a command nor a body is given":    {Project: "p", Stack: "s"},
		"no such file or directory":                {Project: "p", Stack: "s", Command: []string{"/nowhere/program"}},
		"contacted the local cloud: exit status 0": {Project: "p", Stack: "s", Command: []string{"true"}},
	} {
		if _, err := d.Up(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

// What is read is the program's own sentence, not what the SDK wraps it in: in
// process it comes back as an error, from a process as a logged line.
func TestAProgramsErrorIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.refused(func(*pulumi.Context) error { return errors.New("one: two") }); err.Program != "one: two" {
		t.Errorf("in process %q", err.Program)
	}
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.deployer.Up(t.Context(), deploy.Program{
		Command: []string{binary}, Dir: t.TempDir(), Env: []string{"PROGRAM=fails"}, Project: "proj", Stack: "dev",
		Config: map[string]string{"proj:delay": "2"},
	})
	var failed *deploy.Error
	if !errors.As(err, &failed) || failed.Program != "the body says no" || err.Error() != "deploy: the body says no" {
		t.Errorf("of a process %q", err)
	}
}

// The tags of a table are those of the program's last run.
func TestTableTags(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tags := range []map[string]string{{"a": "1"}, {"b": "2"}, {}} {
		f.up(func(ctx *pulumi.Context) error {
			_, err := dynamodb.NewTable(ctx, "t", &dynamodb.TableArgs{
				Name: pulumi.String("tagged"), HashKey: pulumi.String("pk"), Tags: pulumi.ToStringMap(tags),
				Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")}},
			})
			return err
		})
		if info, _ := f.cloud.Services().Tables.Table("tagged"); !maps.Equal(info.Spec.Tags, tags) {
			t.Errorf("tags %v, want %v", info.Spec.Tags, tags)
		}
	}
}
