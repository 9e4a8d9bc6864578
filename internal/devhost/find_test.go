package devhost

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files map[string]string
		name  string
		dir   string // below the directory
		err   string
	}{
		"here":              {map[string]string{"Pulumi.yaml": "name: a\nruntime: go\n"}, "a", ".", ""},
		"in infra":          {map[string]string{"infra/Pulumi.yaml": "name: b\nruntime: go\n"}, "b", "infra", ""},
		"here before infra": {map[string]string{"Pulumi.yaml": "name: a\nruntime: go\n", "infra/Pulumi.yaml": "name: b\nruntime: go\n"}, "a", ".", ""},
		"main":              {map[string]string{"Pulumi.yaml": "name: a\nruntime: go\nmain: cmd/infra\n"}, "a", "cmd/infra", ""},
		"nowhere":           {nil, "", "", "has a Pulumi.yaml"},
		"other language":    {map[string]string{"Pulumi.yaml": "name: a\nruntime: nodejs\n"}, "", "", "runtime is nodejs"},
		"not a project":     {map[string]string{"Pulumi.yaml": "runtime: [\n"}, "", "", "Pulumi.yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range tt.files {
				put(t, filepath.Join(dir, file), text)
			}
			p, err := find(dir)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || errors.Is(err, ErrNoProject) != (name == "nowhere") {
					t.Fatalf("got %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil || p.name != tt.name || p.dir != filepath.Join(dir, tt.dir) {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestKeysStay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadKeys(dir)
	if err != nil || second.PublicPEM() != first.PublicPEM() {
		t.Errorf("the second load gives another key (%v)", err)
	}
	info, err := os.Stat(filepath.Join(dir, "dev-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key has mode %v (%v)", info, err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, ".gitignore")); err != nil || string(raw) != "*\n" {
		t.Errorf("git does not ignore it: %q, %v", raw, err)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no PEM": "hello", "no key": "-----BEGIN EC PRIVATE KEY-----\naGVsbG8=\n-----END EC PRIVATE KEY-----\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, filepath.Join(dir, "dev-key.pem"), text)
			if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	keys, err := LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	token, err := keys.Token("u", "t", []string{"a", "b"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwt.ParseECPublicKeyFromPEM([]byte(keys.PublicPEM()))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return public, nil }, jwt.WithValidMethods([]string{"ES256"}), jwt.WithExpirationRequired()); err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != "u" || claims["tenant_id"] != "t" || len(claims["permissions"].([]any)) != 2 {
		t.Errorf("claims %v", claims)
	}
}

// What a program asks of tokens is in those that are made for it.
func TestTokenForSettings(t *testing.T) {
	t.Parallel()
	keys, err := LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &System{Keys: keys, auth: contract.Auth{
		Issuer: "https://login.example.com/", Audience: []string{"api", "other"}, UserClaim: "email", TenantClaim: "org", PermissionsClaim: "roles",
	}}
	token, err := s.Token("u", "t", []string{"a"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	delete(claims, "iat")
	delete(claims, "exp")
	want := jwt.MapClaims{"iss": "https://login.example.com/", "aud": "api", "email": "u", "org": "t", "roles": []any{"a"}}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
}
