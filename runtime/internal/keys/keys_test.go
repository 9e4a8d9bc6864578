package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/runtime/internal/keys"
)

// nasty parts try to be read as another tenant, user or id.
var nasty = []string{"", "a", "-", "%2D", "a/b", "/", "//", "a-b", "..", "%", "%2F", "é", "a#b", "a b", "\x00", "a\x00", "C#x", strings.Repeat("x", 128)}

func TestKeysCannotBeConfused(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, tenant := range nasty {
		for _, user := range nasty {
			for _, id := range nasty {
				who := fmt.Sprintf("%q %q %q", tenant, user, id)
				key := keys.Request(tenant, user, id)
				if other, taken := seen[key]; taken {
					t.Fatalf("%s and %s have the key %s", who, other, key)
				}
				seen[key] = who
				gotTenant, gotUser, gotID, err := keys.Parse(key)
				if err != nil || gotTenant != tenant || gotUser != user || gotID != id {
					t.Fatalf("%s: parsed %q %q %q, %v", who, gotTenant, gotUser, gotID, err)
				}
				if !strings.HasPrefix(key, keys.Owner(tenant, user)+"/") {
					t.Fatalf("%s is not below its owner", key)
				}
			}
		}
	}
}

func TestParseRefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "a", "a/b", "a/b/c/d", "-/%/x", "-/u/%zz"} {
		if _, _, _, err := keys.Parse(key); err == nil {
			t.Errorf("%q was parsed", key)
		}
	}
}

func TestDueShardsAreAllUsed(t *testing.T) {
	t.Parallel()
	used := map[string]int{}
	for i := range 1600 {
		used[keys.DueShard(keys.Request("t", "u", fmt.Sprint(i)), 16)]++
	}
	for n := range 16 {
		if c := used[keys.Shard(n)]; c < 40 || c > 200 {
			t.Errorf("shard %s holds %d of 1600", keys.Shard(n), c)
		}
	}
	if len(used) != 16 {
		t.Errorf("%v", used)
	}
}

func TestCreatedSortsByTime(t *testing.T) {
	t.Parallel()
	if !(keys.Created(999, "z") < keys.Created(1000, "a")) || !(keys.Created(1000, "a") < keys.Created(1000, "b")) {
		t.Error("not in order")
	}
}

// Names of objects are apart as keys are, and never too long for S3.
func TestObjectNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 128)
	seen := map[string]string{}
	for _, tenant := range append(nasty, long) {
		for _, user := range append(nasty, long) {
			names := []string{keys.Upload("u/", tenant, user, "ref")}
			for _, id := range []string{"a", strings.Repeat("x", 128), long} {
				names = append(names, keys.Object("b/1/", keys.Request(tenant, user, id), keys.Output(1)))
			}
			for n, name := range names {
				who := fmt.Sprintf("%d of %q %q", n, tenant, user)
				if other, taken := seen[name]; taken || len(name) > 1024 {
					t.Fatalf("%s: %q has %d bytes, and is also that of %s", who, name, len(name), other)
				}
				seen[name] = who
			}
		}
	}
}

func TestHistoryKeysDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range []string{keys.Input("1"), keys.Input("2"), keys.Output(1), keys.Output(2), keys.Output(12), keys.Connection("1")} {
		if seen[k] {
			t.Errorf("%s twice", k)
		}
		seen[k] = true
	}
}
