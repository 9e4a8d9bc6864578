package deploy_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

// The SDK speaks over a real socket even where time is virtual: nothing of a
// run may be left behind that keeps the bubble's time from passing.
func TestUpInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := localcloud.Start(localcloud.Config{Funcs: echo, InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		d := deploy.New(cloud)
		program := deploy.Program{
			Body:    websocketSystem(pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("x")}), "sweep"),
			Project: "proj", Stack: "dev",
			Config: map[string]string{"proj:key": "hush"}, SecretKeys: []string{"proj:key"},
		}
		if _, err := d.Up(t.Context(), program); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(150 * time.Second)
		if got := time.Since(start); got != 150*time.Second {
			t.Errorf("%s passed", got)
		}
		// The schedule of one minute has run: at once, and twice since.
		if got := cloud.Bill()["scheduler.invocations"]; got != 3 {
			t.Errorf("%v scheduled invocations, want 3", got)
		}
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
}
