// Package keys builds and reads every key of every table. Tenants are kept
// apart here and nowhere else: each part of a key is percent-encoded, so that no
// tenant, user or id, whatever it contains, can be read as another's.
//
// Pure functions, safe for concurrent use. Standard library only.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"
)

// noTenant stands for the empty tenant, which no encoded part can equal, for
// "-" is encoded.
const noTenant = "-"

func encode(part string) string {
	return strings.ReplaceAll(url.PathEscape(part), "-", "%2D")
}

// Owner is the key of a user within a tenant: the hash key of the index owner
// and of the connections. The tenant may be empty; the user may not.
func Owner(tenant, user string) string {
	t := noTenant
	if tenant != "" {
		t = encode(tenant)
	}
	return t + "/" + encode(user)
}

// Request is the key of a request, and of what history holds for it.
func Request(tenant, user, id string) string { return Owner(tenant, user) + "/" + encode(id) }

// Parse reads a request's key.
func Parse(key string) (tenant, user, id string, err error) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return "", "", "", fmt.Errorf("parse key %q: want tenant/user/id", key)
	}
	for i, p := range parts {
		if i == 0 && p == noTenant {
			parts[0] = ""
			continue
		}
		if parts[i], err = url.PathUnescape(p); err != nil {
			return "", "", "", fmt.Errorf("parse key %q: %w", key, err)
		}
	}
	return parts[0], parts[1], parts[2], nil
}

// DueShard is the hash key of the index due for a request.
func DueShard(key string, shards int) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return Shard(int(h.Sum32() % uint32(shards)))
}

// Shard is the n-th hash key of the index due.
func Shard(n int) string { return fmt.Sprintf("%02d", n) }

// Created is the range key of the index owner: by time, then by id.
func Created(createdAt int64, id string) string { return fmt.Sprintf("%013d#%s", createdAt, id) }

// Connection is the range key of a connection.
func Connection(id string) string { return "C#" + id }

// Input is the range key of an input; each acceptance has its own, so that a
// refused one cannot overwrite what was accepted.
func Input(nonce string) string { return "B#input#" + nonce }

// Output is the range key of the output of the attempt with that epoch.
func Output(epoch int64) string { return fmt.Sprintf("B#%d#output", epoch) }

// Checkpoint is the range key of a checkpoint that the owner of that epoch
// stored: the n-th of as many as it keeps.
func Checkpoint(epoch, n int64) string { return fmt.Sprintf("B#%d#checkpoint#%d", epoch, n) }

// Step is the range key of the result of a finished step.
func Step(name string) string { return Steps + name }

// Steps, Partials and Attempts begin the range keys of what they are named after.
const (
	Steps    = "S#"
	Partials = "P#"
	Attempts = "A#"
)

// Partial is the range key of a batch of partials: by epoch, then by the number
// of its first, in the order of the log.
func Partial(epoch, first int64) string { return fmt.Sprintf("%s%010d#%010d", Partials, epoch, first) }

// Attempt is the range key of how the attempt with that epoch failed.
func Attempt(epoch int64) string { return fmt.Sprintf("%s%010d", Attempts, epoch) }

// Tenant is the tenant of a request's key as keys hold it: the hash key of the
// index open.
func Tenant(key string) string { t, _, _ := strings.Cut(key, "/"); return t }

// OpenAt is the range key of the index open: OpenOf of the user, then as Created.
func OpenAt(user string, createdAt int64, id string) string {
	return OpenOf(user) + Created(createdAt, id)
}

// OpenOf begins the range keys of a user in the index open.
func OpenOf(user string) string { return encode(user) + "/" }

// Waiting is the hash key of the index lane for what waits for that tenant, as
// Tenant returns it.
func Waiting(tenant string) string { return "W/" + tenant }

// Dead is the hash key of the index lane for a dead request: one of as many as
// the index due has.
func Dead(shard string) string { return "D/" + shard }

// Slots is the hash key, in the table of connections, of the slots of a tenant,
// as Tenant returns it; no owner's key is like it, for those have no # in front.
func Slots(tenant string) string { return "#slots/" + tenant }

// Rate is the hash key there of a tenant's message counts.
func Rate(tenant string) string { return "#rate/" + tenant }

// Object is the name of an object that belongs to a request, under the prefix of
// how long it is kept.
func Object(prefix, key, name string) string { return prefix + bounded(key) + "/" + name }

// Upload is the name, under that prefix, of an object that a user may upload.
func Upload(prefix, tenant, user, ref string) string {
	return prefix + bounded(Owner(tenant, user)) + "/" + encode(ref)
}

// maxInName is what of a key is part of an object's name as it is: a name may have
// 1024 bytes, a key twice as many.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxInName = 512

// bounded is the key, or a digest of a long one: no key is like it, for those have
// a slash behind their first part.
func bounded(key string) string {
	if len(key) <= maxInName {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "--" + hex.EncodeToString(sum[:])
}
