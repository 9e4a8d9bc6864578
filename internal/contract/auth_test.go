package contract_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/internal/contract"
)

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "HTTPS://App.Example.com:443": "https://app.example.com",
		"http://a.b:80": "http://a.b", "http://a.b:8080": "http://a.b:8080", "https://a.b:80": "https://a.b:80", "http://[::1]:80": "http://[::1]", "null": "null",
		"app.example.com": "", "https://a.b/": "", "https://a.b/c": "", "https://a.b?c": "", "https://a.b#c": "", "https://u@a.b": "", "https://": "", "mailto:a": "", "": "",
	} {
		if got, ok := contract.ParseOrigin(in); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, ok, want)
		}
	}
}

// All that is wrong is told at once, and no secret with it.
func TestCheck(t *testing.T) {
	t.Parallel()
	if err := (contract.Auth{JWKSURL: "https://id.example.com", Origins: []string{"*", "null"}}).Check(); err != nil {
		t.Error(err)
	}
	leeway := contract.MaxLeeway + 1
	short := base64.StdEncoding.EncodeToString([]byte("hunter2"))
	err := contract.Auth{
		Keys: []contract.Key{{}, {Secret: short}, {Secret: "hunter2!"}, {PEM: "hunter2"}}, JWKSURL: "https://u:hunter2@id.example.com",
		LeewaySeconds: &leeway, Audience: []string{"a", ""}, Origins: []string{"https://a.b", "a.b"},
	}.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"keys[0]: needs exactly one", "keys[1].secret: has 7 bytes", "keys[2].secret: is not base64", "keys[3].pem: is not PEM", "jwks_url: ",
		"leeway_seconds: is 301", "audience: ", `origins[1]: is "a.b"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), short) {
		t.Errorf("a secret is told: %v", err)
	}
	if err := (contract.Auth{}).Check(); err == nil {
		t.Error("neither keys nor URL: no error")
	}
}
