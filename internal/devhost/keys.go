package devhost

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
)

// Keys is an ES256 pair for development. Its private half never leaves the
// machine and is worth nothing but on it.
type Keys struct {
	private *ecdsa.PrivateKey
	public  string
}

// LoadKeys reads the pair in dir, or makes it there, readable by its owner
// alone and ignored by git.
func LoadKeys(dir string) (*Keys, error) {
	path := filepath.Join(dir, "dev-key.pem")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw, err = makeKey(dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("load development key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("load development key %s: no PEM; remove the file and a new key is made", path)
	}
	private, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("load development key %s: %w; remove the file and a new key is made", path, err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("load development key %s: %w", path, err)
	}
	return &Keys{private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, nil
}

func makeKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	// Written aside and linked: of two that start at once, one makes the key and
	// the other reads it whole.
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, os.ErrExist) {
		return os.ReadFile(path)
	}
	return raw, err
}

// PublicPEM is the public half.
func (k *Keys) PublicPEM() string { return k.public }

// Token signs a token for a user and tenant ("" for none) that is good for d.
func (k *Keys) Token(user, tenant string, permissions []string, d time.Duration) (string, error) {
	return k.tokenFor(contract.Auth{}, user, tenant, permissions, d)
}

// tokenFor signs one with what those settings ask of a token, and under their names.
func (k *Keys) tokenFor(auth contract.Auth, user, tenant string, permissions []string, d time.Duration) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{cmp.Or(auth.UserClaim, "sub"): user, "iat": now.Unix(), "exp": now.Add(d).Unix()}
	if tenant != "" {
		claims[cmp.Or(auth.TenantClaim, "tenant_id")] = tenant
	}
	if len(permissions) > 0 {
		claims[cmp.Or(auth.PermissionsClaim, "permissions")] = permissions
	}
	if auth.Issuer != "" {
		claims["iss"] = auth.Issuer
	}
	if len(auth.Audience) > 0 {
		claims["aud"] = auth.Audience[0]
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}
