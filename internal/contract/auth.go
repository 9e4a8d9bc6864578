package contract

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
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Auth says how tokens are verified. It travels as JSON in EnvAuth.
type Auth struct {
	Issuer   string   `json:"issuer,omitempty"`   // required claim iss, when set
	Audience []string `json:"audience,omitempty"` // one of them must be in aud, when set
	Keys     []Key    `json:"keys,omitempty"`     // static keys
	JWKSURL  string   `json:"jwks_url,omitempty"` // or a key set, https
	// Names of the claims. Defaults: sub, tenant_id, and permissions or scope.
	UserClaim        string `json:"user_claim,omitempty"`
	TenantClaim      string `json:"tenant_claim,omitempty"`
	PermissionsClaim string `json:"permissions_claim,omitempty"`
	// Origins allowed at the handshake; empty allows all.
	Origins []string `json:"origins,omitempty"`
	// QueryParameter, when set, also accepts a token there. It ends up in logs.
	QueryParameter string `json:"query_parameter,omitempty"`
	// LeewaySeconds is the clock skew that is tolerated. Default 30.
	LeewaySeconds *int `json:"leeway_seconds,omitempty"`
}

// Key is a static verification key.
type Key struct {
	ID string `json:"kid,omitempty"`
	// PEM is a public key or certificate (RSA, ECDSA P-256, Ed25519).
	PEM string `json:"pem,omitempty"`
	// Secret is base64 of an HS256 secret of at least 32 bytes.
	Secret string `json:"secret,omitempty"`
}

// MaxLeeway is the most clock skew that is tolerated, in seconds.
const MaxLeeway = 300

// Check returns everything that is wrong with the settings, each with its path, or
// nil. The connect function starts with what it accepts and with nothing else. No
// text quotes a secret.
func (a Auth) Check() error {
	var errs []error
	add := func(path string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	if len(a.Keys) == 0 && a.JWKSURL == "" {
		errs = append(errs, errors.New("neither keys nor the URL of a key set are given"))
	}
	for i, k := range a.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		switch {
		case (k.PEM == "") == (k.Secret == ""):
			add(path, errors.New("needs exactly one of pem and secret"))
		case k.PEM != "":
			_, err := ParsePublicKey(k.PEM)
			add(path+".pem", err)
		default:
			_, err := ParseSecret(k.Secret)
			add(path+".secret", err)
		}
	}
	if a.JWKSURL != "" {
		add("jwks_url", CheckKeySetURL(a.JWKSURL))
	}
	if s := a.LeewaySeconds; s != nil && (*s < 0 || *s > MaxLeeway) {
		add("leeway_seconds", fmt.Errorf("is %d, may be 0 to %d", *s, MaxLeeway))
	}
	if slices.Contains(a.Audience, "") {
		add("audience", errors.New("has an empty one"))
	}
	for i, origin := range a.Origins {
		add(fmt.Sprintf("origins[%d]", i), CheckOrigin(origin))
	}
	return errors.Join(errs...)
}

// ParsePublicKey reads a public key or certificate that tokens can be verified
// with: one PEM block of RSA, ECDSA or Ed25519. A certificate's dates are not
// judged.
func ParsePublicKey(text string) (any, error) {
	block, rest := pem.Decode([]byte(text))
	var public any
	var err error
	switch {
	case block == nil:
		return nil, errors.New("is not PEM: it must begin with -----BEGIN PUBLIC KEY-----")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("is a private key: whoever holds it can sign tokens; give the public key")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("holds more than one PEM block: give one key")
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = c.PublicKey
		}
	default:
		return nil, fmt.Errorf("is PEM of a %s, must be of a PUBLIC KEY or CERTIFICATE", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("is PEM that holds no key: %w", err)
	}
	return public, CheckPublicKey(public)
}

// CheckPublicKey says whether tokens can be verified with a key.
func CheckPublicKey(public any) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Errorf("is an RSA key of %d bits, must have 2048 to 8192", bits)
		}
		if k.E < 3 || k.E&1 == 0 {
			return errors.New("is an RSA key with an exponent that is none")
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return fmt.Errorf("is an ECDSA key on %s, must be on P-256", k.Curve.Params().Name)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("is a key of type %T, must be RSA, ECDSA on P-256 or Ed25519", public)
}

// ParseSecret reads an HS256 secret. Its errors do not quote it.
func ParseSecret(text string) ([]byte, error) {
	secret, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil:
		return nil, errors.New("is not base64") // without the cause, which may quote it
	case len(secret) < 32:
		return nil, fmt.Errorf("has %d bytes, must have at least 32", len(secret))
	case bytes.Contains(secret, []byte("-----BEGIN")):
		// Whoever reads a public key could sign with it.
		return nil, errors.New("is a PEM block: a public key belongs in pem")
	}
	return secret, nil
}

// CheckKeySetURL says whether a key set may be fetched from there.
func CheckKeySetURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil:
		return errors.New("must be an absolute URL without user")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return errors.New("must be https, or http to this machine")
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// CheckOrigin says whether an entry of Auth.Origins is an origin, or "*" for all.
func CheckOrigin(s string) error {
	if s == "*" {
		return nil
	}
	if strings.Contains(s, "*") {
		return fmt.Errorf("is %q, must be one origin without wildcards, or * for all", s)
	}
	if _, ok := ParseOrigin(s); !ok {
		return fmt.Errorf("is %q, must be scheme://host[:port] with nothing behind it, such as https://app.example.com", s)
	}
	return nil
}

// ParseOrigin returns an origin in the spelling that browsers use: in small
// letters, without the scheme's own port. "null", which sandboxed pages and files
// send, is an origin like any other.
func ParseOrigin(s string) (string, bool) {
	if s == "null" {
		return s, true
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", false
	}
	host := u.Host
	if p := u.Port(); p == "" || u.Scheme == "https" && p == "443" || u.Scheme == "http" && p == "80" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	return u.Scheme + "://" + strings.ToLower(host), true
}
