package jwt

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"slices"

	"github.com/streamer-go/streamer/internal/contract"
)

// The algorithms. Each belongs to one type of key, and each type has one.
const (
	algRS256 = "RS256"
	algES256 = "ES256"
	algEdDSA = "EdDSA"
	algHS256 = "HS256"
)

// key is a verification key with the one algorithm that it is for.
type key struct {
	id, alg string
	value   any
}

// match returns the keys for an algorithm. Where a key or the token has no id,
// the ids cannot differ.
func match(keys []key, alg, kid string) []key {
	var out []key
	for _, k := range keys {
		if k.alg == alg && (k.id == kid || k.id == "" || kid == "") {
			out = append(out, k)
		}
	}
	return out
}

// newKey binds a public key to its algorithm.
func newKey(id string, public any) (key, error) {
	if err := contract.CheckPublicKey(public); err != nil {
		return key{}, err
	}
	switch public.(type) {
	case *rsa.PublicKey:
		return key{id, algRS256, public}, nil
	case *ecdsa.PublicKey:
		return key{id, algES256, public}, nil
	}
	return key{id, algEdDSA, public}, nil
}

// parseStatic reads a key of settings that have been checked.
func parseStatic(k contract.Key) (key, error) {
	if k.Secret != "" {
		secret, err := contract.ParseSecret(k.Secret)
		return key{k.ID, algHS256, secret}, err
	}
	public, err := contract.ParsePublicKey(k.PEM)
	if err != nil {
		return key{}, err
	}
	return newKey(k.ID, public)
}

// usable says whether a key of a key set is there for verifying signatures.
func (j jwk) usable() bool {
	return (j.Use == "" || j.Use == "sig") && (len(j.Ops) == 0 || slices.Contains(j.Ops, "verify"))
}
