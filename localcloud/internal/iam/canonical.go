package iam

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest is the text that a signature is made over:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func canonicalRequest(r *http.Request, sig *signature, payload string) string {
	// All services but S3 sign the path as it was sent, escaped once more: "%3D"
	// on the wire is "%253D" here. S3 escapes the key itself.
	path := sentPath(r)
	if sig.forS3() {
		if key, err := url.PathUnescape(path); err == nil {
			path = key
		}
	}
	path = escapePath(path)
	return strings.Join([]string{
		r.Method,
		path,
		canonicalQuery(r.URL.RawQuery, sig.presigned),
		canonicalHeaders(r, sig.headers),
		strings.Join(sig.headers, ";"),
		payload,
	}, "\n")
}

// sentPath is the path exactly as it was on the wire. The parsed URL loses
// that when a handler in front of this one has changed it.
func sentPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ = strings.Cut(r.RequestURI, "?")
	}
	if path == "" {
		return "/"
	}
	return path
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

const upperHex = "0123456789ABCDEF"

func escape(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || keepSlash && c == '/' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

func escapePath(path string) string { return escape(path, true) }

// canonicalQuery escapes names and values anew and sorts the pairs after that,
// without the signature itself.
func canonicalQuery(raw string, presigned bool) string {
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = unescapeQuery(name), unescapeQuery(value)
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{escape(name, false), escape(value, false)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

func unescapeQuery(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// canonicalHeaders returns the signed headers, one a line. net/http keeps two
// of them apart from the others.
func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{signedHost(r)}
		case "content-length":
			if r.ContentLength >= 0 {
				values = []string{strconv.FormatInt(r.ContentLength, 10)}
			}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(squeeze(v))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// signedHost is the host without the port that goes without saying: signers
// leave it away, and not every client does.
func signedHost(r *http.Request) string {
	if r.TLS != nil {
		return strings.TrimSuffix(r.Host, ":443")
	}
	return strings.TrimSuffix(r.Host, ":80")
}

// squeeze trims a value and makes runs of spaces one.
func squeeze(s string) string {
	s = strings.TrimSpace(s)
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}
