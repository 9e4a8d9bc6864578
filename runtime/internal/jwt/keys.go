package jwt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 8192 {
			return key{}, fmt.Errorf("RSA key has %d bits, not 2048 to 8192", bits)
		}
		if k.E < 3 || k.E&1 == 0 {
			return key{}, errors.New("RSA key has an exponent that is none")
		}
		return key{id, algRS256, k}, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("ECDSA key is on %s, not P-256", k.Curve.Params().Name)
		}
		return key{id, algES256, k}, nil
	case ed25519.PublicKey:
		return key{id, algEdDSA, k}, nil
	}
	return key{}, fmt.Errorf("keys of type %T are not supported", public)
}

// parseStatic reads a key from the settings.
func parseStatic(k contract.Key) (key, error) {
	switch {
	case (k.PEM == "") == (k.Secret == ""):
		return key{}, errors.New("needs either pem or secret")
	case k.Secret != "":
		secret, err := base64.StdEncoding.DecodeString(k.Secret)
		switch {
		case err != nil:
			return key{}, errors.New("secret is not base64") // without the cause: it may quote the secret
		case len(secret) < 32:
			return key{}, fmt.Errorf("secret has %d bytes, at least 32 are needed", len(secret))
		case bytes.Contains(secret, []byte("-----BEGIN")):
			// Whoever reads a public key could sign with it.
			return key{}, errors.New("secret is a PEM block; a public key belongs in pem")
		}
		return key{k.ID, algHS256, secret}, nil
	}
	block, rest := pem.Decode([]byte(k.PEM))
	if block == nil {
		return key{}, errors.New("pem holds no PEM block")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return key{}, errors.New("pem holds more than one block")
	}
	public, err := parseBlock(block)
	if err != nil {
		return key{}, fmt.Errorf("pem: %w", err)
	}
	return newKey(k.ID, public)
}

func parseBlock(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("is a private key; verifying takes the public one, and the private one must not be here")
	}
	return nil, fmt.Errorf("a block of type %q is no key", block.Type)
}

// usable says whether a key of a key set is there for verifying signatures.
func (j jwk) usable() bool {
	return (j.Use == "" || j.Use == "sig") && (len(j.Ops) == 0 || slices.Contains(j.Ops, "verify"))
}
