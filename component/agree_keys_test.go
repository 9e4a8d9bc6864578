package component_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
)

// verification adds keys of all kinds, good and bad.
func verification(t *testing.T, add func(string, bool, func(*component.StreamerArgs, giver))) {
	t.Helper()
	good, bad := keyTexts(t)
	for fine, texts := range map[bool]map[string]string{true: good, false: bad} {
		for name, text := range texts {
			add("pem: "+name, fine, func(a *component.StreamerArgs, give giver) {
				a.Auth = &component.Auth{Keys: []component.Key{{PEM: give(text).text}}}
			})
		}
	}
	for name, s := range map[string]struct {
		secret string
		fine   bool
	}{
		"32 bytes": {string(make([]byte, 32)), true}, "31 bytes": {string(make([]byte, 31)), false},
		"a public key": {good["P-256"], false}, "nothing": {"", false},
	} {
		add("secret: "+name, s.fine, func(a *component.StreamerArgs, give giver) {
			a.Auth = &component.Auth{Keys: []component.Key{{Secret: give(base64.StdEncoding.EncodeToString([]byte(s.secret))).text}}}
		})
	}
	add("secret: no base64", false, func(a *component.StreamerArgs, give giver) {
		a.Auth = &component.Auth{Keys: []component.Key{{Secret: give("*").text}}}
	})
	nothing := func() pulumi.StringPtrInput {
		return pulumi.Int(0).ToIntOutput().ApplyT(func(int) *string { return nil }).(pulumi.StringPtrOutput)
	}
	add("pem that comes to nothing", false, func(a *component.StreamerArgs, _ giver) {
		a.Auth = &component.Auth{Keys: []component.Key{{PEM: nothing()}}}
	})
	add("jwks that comes to nothing", false, func(a *component.StreamerArgs, _ giver) { a.Auth = &component.Auth{JWKSURL: nothing()} })
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// modulus is a key of that many bits that has no private half: to make a pair
// takes long.
func modulus(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

// keyTexts returns PEM that is a key for verifying, and PEM that is none.
func keyTexts(t *testing.T) (good, bad map[string]string) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	public := func(key any) string {
		der, err := x509.MarshalPKIXPublicKey(key)
		check(err)
		return block("PUBLIC KEY", der)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		check(err)
		return key
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	check(err)
	p256 := curve(elliptic.P256())
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &p256.PublicKey, p256)
	check(err)
	_, private := keyPair(t)
	one, even := public(&p256.PublicKey), modulus(2048)
	even.E = 65536
	good = map[string]string{
		"P-256": one, "RSA of 2048": public(modulus(2048)), "RSA of 8192": public(modulus(8192)), "Ed25519": public(ed),
		"PKCS 1": block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(modulus(2048))), "certificate": block("CERTIFICATE", certificate),
		"text before it": "# mine\n" + one, "spaces behind it": one + "\n \n",
	}
	bad = map[string]string{
		"P-384": public(&curve(elliptic.P384()).PublicKey), "P-224": public(&curve(elliptic.P224()).PublicKey), "X25519": public(exchange.Public()),
		"RSA of 2047": public(modulus(2047)), "RSA of 8193": public(modulus(8193)), "RSA with an even exponent": public(even),
		"two blocks": one + one, "text behind it": one + "x", "garbage": block("PUBLIC KEY", []byte("garbage")),
		"half a certificate": block("CERTIFICATE", certificate[:40]), "a private key": private,
		"parameters": block("EC PARAMETERS", []byte{1}), "nothing": "", "no PEM": "abc",
	}
	return good, bad
}
