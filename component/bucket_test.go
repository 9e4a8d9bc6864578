package component_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
)

func large() *component.StreamerArgs {
	args := minimal()
	args.LargePayloads = true
	return args
}

// Without the switch there is no bucket, and no right to one.
func TestLargePayloadsAreOffByDefault(t *testing.T) {
	t.Parallel()
	for _, r := range deploy(t, minimal()).resources {
		if strings.Contains(r.TypeToken, "s3/") {
			t.Errorf("%s %s", r.TypeToken, r.Name)
		}
		if strings.HasSuffix(r.TypeToken, ":RolePolicy") && strings.Contains(plain(r, "policy").(string), "s3:") {
			t.Errorf("%s has rights on a bucket", r.Name)
		}
	}
}

func TestLargePayloads(t *testing.T) {
	t.Parallel()
	c := deploy(t, large())
	bucket := c.must(t, "BucketV2", "reports-payloads")
	if plain(bucket, "forceDestroy") != false {
		t.Error("what is protected deletes its objects with it")
	}
	block := c.must(t, "BucketPublicAccessBlock", "reports-payloads")
	for _, property := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
		if plain(block, property) != true {
			t.Errorf("%s is not set", property)
		}
	}
	rules := plain(c.must(t, "BucketLifecycleConfigurationV2", "reports-payloads"), "rules").([]any)
	if len(rules) != 1+len(contract.ObjectDays()) {
		t.Errorf("%d rules", len(rules))
	}
	for _, rule := range rules {
		r := rule.(map[string]any)
		prefix := r["filter"].(map[string]any)["prefix"].(string)
		days := int(r["expiration"].(map[string]any)["days"].(float64))
		if prefix != contract.UploadPrefix && prefix != contract.ObjectPrefix(days) || r["status"] != "Enabled" {
			t.Errorf("%v", r)
		}
	}
	for _, role := range roles {
		policy := plain(c.must(t, "RolePolicy", "reports-"+string(role)), "policy").(string)
		given := env(t, c.must(t, "Function", "reports-"+string(role)))
		uses := role == contract.RoleRouter || role == contract.RoleProcessor
		if _, ok := given[contract.EnvBucket]; ok != uses || strings.Contains(policy, "s3:GetObject") != uses {
			t.Errorf("%s: %v, %s", role, given, policy)
		}
	}
}

// Who reads uploads, and who may use what is stored.
func TestPoliciesOfTheBucket(t *testing.T) {
	t.Parallel()
	golden(t, "policy-bucket.golden", more(t, deploy(t, large()), deploy(t, minimal())))
}

func TestNameThatABucketCannotHave(t *testing.T) {
	t.Parallel()
	for name, fine := range map[string]bool{
		"reports-2": true, "0": true, strings.Repeat("n", 45): true,
		"My_App": false, "my_app": false, "Reports": false, "-x": false, "xn--x": false, "sthree-x": false, "amzn-s3-demo-x": false,
	} {
		for _, args := range []*component.StreamerArgs{large(), minimal()} {
			c := &cloud{}
			err := c.run(func(ctx *pulumi.Context) error {
				_, err := component.NewStreamerWith(ctx, name, args, noEnv, fakeBuild)
				return err
			})
			if want := fine || !args.LargePayloads; (err == nil) != want || err != nil && (!strings.Contains(err.Error(), "with largePayloads the name") || len(c.resources) > 0) {
				t.Errorf("name %q, bucket %v: %v", name, args.LargePayloads, err)
			}
		}
	}
}
