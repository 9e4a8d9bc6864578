package iam

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// skew is how far a signature's date may be off:
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
	skew = 5 * time.Minute
	// maxExpires is the longest life of a presigned request, in seconds.
	maxExpires = 7 * 24 * 60 * 60
)

// SignatureError is a request whose signer could not be established.
type SignatureError struct {
	// Code is AWS's: MissingAuthenticationTokenException,
	// IncompleteSignatureException, InvalidSignatureException,
	// UnrecognizedClientException or ExpiredTokenException.
	Code    string
	Message string
}

func (e *SignatureError) Error() string { return e.Code + ": " + e.Message }

// ErrorCode returns Code: with ErrorMessage as the AWS SDK's API errors have it.
func (e *SignatureError) ErrorCode() string { return e.Code }

// ErrorMessage returns Message.
func (e *SignatureError) ErrorMessage() string { return e.Message }

func refuse(code, format string, args ...any) *SignatureError {
	return &SignatureError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) *SignatureError {
	return refuse("IncompleteSignatureException", format, args...)
}

func unrecognized() *SignatureError {
	return refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
}

// signature is what a request says about its signing.
type signature struct {
	key                   string // access key id
	date, region, service string // the credential's scope
	headers               []string
	value                 string
	time                  time.Time
	token                 string
	payload               string // what the header x-amz-content-sha256 says, "" without
	presigned             bool
	expires               time.Duration
}

// ServiceOf returns the service and region that a request is signed for, both
// "" when it is not signed. Nothing is verified.
func ServiceOf(r *http.Request) (service, region string) {
	sig, err := parseSignature(r)
	if err != nil {
		return "", ""
	}
	return sig.service, sig.region
}

// Verify establishes who signed r, by header or by query, for the service
// (such as "dynamodb"). body is what was read of r.Body. The error is always a
// *SignatureError.
func (s *Store) Verify(r *http.Request, body []byte, service string) (account.Caller, error) {
	caller, err := s.verify(r, body, service)
	if err != nil {
		return account.Caller{}, err
	}
	return caller, nil
}

func (s *Store) verify(r *http.Request, body []byte, service string) (account.Caller, *SignatureError) {
	sig, err := parseSignature(r)
	if err != nil {
		return account.Caller{}, err
	}
	if err := sig.scope(service); err != nil {
		return account.Caller{}, err
	}
	sess := s.session(sig.key)
	if sess == nil {
		return account.Caller{}, unrecognized()
	}
	if subtle.ConstantTimeCompare([]byte(sig.token), []byte(sess.credentials.SessionToken)) != 1 {
		return account.Caller{}, unrecognized()
	}
	if err := sig.current(time.Now()); err != nil {
		return account.Caller{}, err
	}
	payload, err := sig.payloadHash(body)
	if err != nil {
		return account.Caller{}, err
	}
	want := sig.sign(sess.credentials.SecretAccessKey, canonicalRequest(r, sig, payload))
	if subtle.ConstantTimeCompare([]byte(want), []byte(sig.value)) != 1 {
		return account.Caller{}, refuse("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return sess.caller, nil
}

func parseSignature(r *http.Request) (*signature, *SignatureError) {
	if header := r.Header.Get("Authorization"); header != "" {
		return parseHeader(r, header)
	}
	if query := r.URL.Query(); query.Get("X-Amz-Algorithm") != "" || query.Get("X-Amz-Signature") != "" {
		return parseQuery(r, query)
	}
	return nil, refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func parseHeader(r *http.Request, header string) (*signature, *SignatureError) {
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return nil, incomplete("Authorization header requires the algorithm %s. Authorization=%s", algorithm, abbreviate(header))
	}
	sig := &signature{token: r.Header.Get("X-Amz-Security-Token"), payload: r.Header.Get("X-Amz-Content-Sha256")}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter. Authorization=%s", name, abbreviate(header))
		}
	}
	sig.value, sig.headers = fields["Signature"], strings.Split(fields["SignedHeaders"], ";")
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = httpDate(r.Header.Get("Date"))
	}
	return sig, sig.finish(fields["Credential"], date)
}

// httpDate turns the header Date, which may stand in for X-Amz-Date, into that
// one's format.
func httpDate(s string) string {
	t, err := http.ParseTime(s)
	if err != nil {
		return s
	}
	return t.UTC().Format(timeFormat)
}

func parseQuery(r *http.Request, query url.Values) (*signature, *SignatureError) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query.Get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '%s'.", name)
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be %s, not %s", algorithm, query.Get("X-Amz-Algorithm"))
	}
	sig := &signature{
		presigned: true, value: query.Get("X-Amz-Signature"), token: query.Get("X-Amz-Security-Token"),
		headers: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), expires: skew,
	}
	if sig.payload = query.Get("X-Amz-Content-Sha256"); sig.payload == "" {
		sig.payload = r.Header.Get("X-Amz-Content-Sha256")
	}
	if e := query.Get("X-Amz-Expires"); e != "" {
		seconds, err := strconv.Atoi(e)
		if err != nil || seconds < 1 || seconds > maxExpires {
			return nil, incomplete("X-Amz-Expires must be a number of seconds from 1 to %d, not %s", maxExpires, e)
		}
		sig.expires = time.Duration(seconds) * time.Second
	}
	return sig, sig.finish(query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

func (sig *signature) finish(credential, date string) *SignatureError {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '%s'", credential)
	}
	sig.key, sig.date, sig.region, sig.service = parts[0], parts[1], parts[2], parts[3]
	t, err := time.Parse(timeFormat, date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '%s'.", date)
	}
	sig.time = t
	if !slices.Contains(sig.headers, "host") {
		return refuse("InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

func (sig *signature) scope(service string) *SignatureError {
	switch {
	case sig.service != service:
		return refuse("InvalidSignatureException", "Credential should be scoped to correct service: '%s', not '%s'.", service, sig.service)
	case sig.region != account.Region:
		return refuse("InvalidSignatureException", "Credential should be scoped to a valid region, not '%s': the local cloud is in %s.", sig.region, account.Region)
	case sig.date != sig.time.Format("20060102"):
		return refuse("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", sig.date, sig.time.Format("20060102"))
	}
	return nil
}

// current checks the date. A presigned request says itself how long it lives.
func (sig *signature) current(now time.Time) *SignatureError {
	life := skew
	if sig.presigned {
		life = sig.expires
	}
	now = now.UTC().Truncate(time.Second)
	switch {
	case now.After(sig.time.Add(life)):
		return refuse("InvalidSignatureException", "Signature expired: %s is now earlier than %s (%s - %s)", sig.time.Format(timeFormat), now.Add(-life).Format(timeFormat), now.Format(timeFormat), minutes(life))
	case now.Before(sig.time.Add(-skew)):
		return refuse("InvalidSignatureException", "Signature not yet current: %s is still later than %s (%s + %s)", sig.time.Format(timeFormat), now.Add(skew).Format(timeFormat), now.Format(timeFormat), minutes(skew))
	}
	return nil
}

func minutes(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min."
	}
	return strconv.Itoa(int(d/time.Second)) + " sec."
}

// unsigned stands for the hash of a body that the signature does not cover.
const unsigned = "UNSIGNED-PAYLOAD"

func (sig *signature) payloadHash(body []byte) (string, *SignatureError) {
	if sig.payload == unsigned || (sig.payload == "" && sig.presigned && sig.service == "s3") {
		return unsigned, nil
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if sig.payload != "" && !strings.EqualFold(sig.payload, hash) {
		return "", refuse("InvalidSignatureException", "The x-amz-content-sha256 of the request, %s, is not that of its body, %s.", abbreviate(sig.payload), hash)
	}
	return hash, nil
}

// sign derives the signing key and signs a canonical request:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (sig *signature) sign(secret, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{sig.date, sig.region, sig.service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, sig.time.Format(timeFormat), scope, hex.EncodeToString(sum[:])}, "\n")
	key := mac([]byte("AWS4"+secret), sig.date)
	for _, part := range []string{sig.region, sig.service, "aws4_request", text} {
		key = mac(key, part)
	}
	return hex.EncodeToString(key)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// abbreviate keeps secrets and long values out of messages.
func abbreviate(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}
