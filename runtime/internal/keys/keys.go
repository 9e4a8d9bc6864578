// Package keys builds and reads every key of every table. Tenants are kept
// apart here and nowhere else: each part of a key is percent-encoded, so that no
// tenant, user or id, whatever it contains, can be read as another's.
//
// Pure functions, safe for concurrent use. Standard library only.
package keys

import (
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
