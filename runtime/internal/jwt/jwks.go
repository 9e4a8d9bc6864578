package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// maxKeys bounds a key set, and with it what one token can cost.
const maxKeys = 64

// jwk is a JSON Web Key (RFC 7517, 7518 section 6, 8037).
type jwk struct {
	Kty string   `json:"kty"`
	Kid string   `json:"kid"`
	Alg string   `json:"alg"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`
	Crv string   `json:"crv"`
	N   string   `json:"n"`
	E   string   `json:"e"`
	X   string   `json:"x"`
	Y   string   `json:"y"`
}

// parseSet reads a key set. Keys that are for something else, or of a kind that
// is not supported, are left out, as RFC 7517 asks; so are secrets, which have no
// place behind a URL. A set without any usable key is an error.
func parseSet(body []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("read key set: %d keys, at most %d are read", len(set.Keys), maxKeys)
	}
	var keys []key
	var why []error
	for i, raw := range set.Keys {
		k, err := parseJWK(raw)
		if err != nil {
			why = append(why, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read key set: no usable key: %w", errors.Join(why...))
	}
	return keys, nil
}

func parseJWK(raw json.RawMessage) (key, error) {
	var j jwk
	if err := json.Unmarshal(raw, &j); err != nil {
		return key{}, err
	}
	if !j.usable() {
		return key{}, errors.New("is not for verifying signatures")
	}
	public, err := j.public()
	if err != nil {
		return key{}, err
	}
	k, err := newKey(j.Kid, public)
	if err == nil && j.Alg != "" && j.Alg != k.alg {
		err = fmt.Errorf("is for %s, its type is for %s", j.Alg, k.alg)
	}
	return k, err
}

func (j jwk) public() (any, error) {
	switch {
	case j.Kty == "RSA":
		n, errN := number(j.N)
		e, errE := number(j.E)
		if err := errors.Join(errN, errE); err != nil {
			return nil, err
		}
		exp := new(big.Int).SetBytes(e)
		if len(n) > 1024 || !exp.IsInt64() || exp.Int64() > 1<<31-1 {
			return nil, errors.New("RSA key is too large")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())}, nil
	case j.Kty == "EC" && j.Crv == "P-256":
		x, errX := number(j.X)
		y, errY := number(j.Y)
		if err := errors.Join(errX, errY); err != nil {
			return nil, err
		}
		if len(x) != 32 || len(y) != 32 {
			return nil, errors.New("coordinates of P-256 have 32 bytes")
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	case j.Kty == "OKP" && j.Crv == "Ed25519":
		x, err := number(j.X)
		if err != nil {
			return nil, err
		}
		if len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("an Ed25519 key has %d bytes", ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, fmt.Errorf("kty %.16q, crv %.16q is not supported", j.Kty, j.Crv)
}

func number(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) == 0 {
		err = errors.New("a number is missing")
	}
	return b, err
}
