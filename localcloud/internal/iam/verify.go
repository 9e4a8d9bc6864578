package iam

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
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

// reason is why the signer of a request could not be established. Services put
// the same reason into words of their own.
type reason int

const (
	noSignature reason = iota
	twoSignatures
	otherAlgorithm
	missingPart
	badCredential
	badDate
	badExpires
	unsignedHeader
	otherService
	otherRegion
	otherDate
	unknownKey
	wrongToken
	endedSession
	expiredToken
	expiredRequest
	earlyRequest
	noHash
	wrongHash
	wrongSignature
)

// SignatureError is a request whose signer could not be established.
type SignatureError struct {
	// Code is AWS's: MissingAuthenticationTokenException,
	// IncompleteSignatureException, InvalidSignatureException,
	// UnrecognizedClientException or ExpiredTokenException.
	// For S3 the codes are S3's own.
	Code    string
	Message string
	// Status is that of HTTP, 0 where each service has its own.
	Status int
	// Details are the further elements of an S3 error.
	Details []Detail

	reason reason
	about  string // what the reason is about: a header, a parameter
}

// Detail is an element of an S3 error.
type Detail struct{ Name, Value string }

func (e *SignatureError) Error() string { return e.Code + ": " + e.Message }

// ErrorCode returns Code: with ErrorMessage as the AWS SDK's API errors have it.
func (e *SignatureError) ErrorCode() string { return e.Code }

// ErrorMessage returns Message.
func (e *SignatureError) ErrorMessage() string { return e.Message }

func refuse(why reason, code, format string, args ...any) *SignatureError {
	return &SignatureError{Code: code, Message: fmt.Sprintf(format, args...), reason: why}
}

func incomplete(why reason, format string, args ...any) *SignatureError {
	return refuse(why, "IncompleteSignatureException", format, args...)
}

func invalid(why reason, format string, args ...any) *SignatureError {
	return refuse(why, "InvalidSignatureException", format, args...)
}

func unrecognized(why reason) *SignatureError {
	return refuse(why, "UnrecognizedClientException", "The security token included in the request is invalid.")
}

// ServiceOf returns the service and region that a request is signed for, both
// "" when it does not say so. Nothing is verified.
func ServiceOf(r *http.Request) (service, region string) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		credential, _, _ = strings.Cut(rest, ",")
	}
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) != 5 {
		return "", ""
	}
	return parts[3], parts[2]
}

// Presigned reports whether a request is signed, or means to be, by its query.
func Presigned(r *http.Request) bool {
	query := r.URL.Query()
	return r.Header.Get("Authorization") == "" && (query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature"))
}

// Verify establishes who signed r, by header or by query, for the service
// (such as "dynamodb"). body is what was read of r.Body. The error is always a
// *SignatureError.
func (s *Store) Verify(r *http.Request, body []byte, service string) (account.Caller, error) {
	now := time.Now()
	sig, err := parseSignature(r, service)
	if err == nil {
		var caller account.Caller
		if caller, err = s.verify(r, body, sig, service, now); err == nil {
			return caller, nil
		}
	}
	if service == objectStore {
		err = err.ofS3(r, sig, now)
	}
	return account.Caller{}, err
}

func (s *Store) verify(r *http.Request, body []byte, sig *signature, service string, now time.Time) (account.Caller, *SignatureError) {
	if err := sig.scope(service); err != nil {
		return account.Caller{}, err
	}
	sess, ok := s.session(sig.key)
	if !ok {
		return account.Caller{}, unrecognized(unknownKey)
	}
	if subtle.ConstantTimeCompare([]byte(sig.token), []byte(sess.credentials.SessionToken)) != 1 {
		return account.Caller{}, unrecognized(wrongToken)
	}
	if err := sig.current(now.UTC().Truncate(time.Second)); err != nil {
		return account.Caller{}, err
	}
	if err := sess.current(sig, now); err != nil {
		return account.Caller{}, err
	}
	if err := sig.allSigned(r); err != nil {
		return account.Caller{}, err
	}
	payload, err := sig.payloadHash(body)
	if err != nil {
		return account.Caller{}, err
	}
	want := sig.sign(sess.credentials.SecretAccessKey, canonicalRequest(r, sig, payload))
	if subtle.ConstantTimeCompare([]byte(want), []byte(sig.value)) != 1 {
		return account.Caller{}, invalid(wrongSignature, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return sess.caller, nil
}

func (sig *signature) scope(service string) *SignatureError {
	switch {
	case sig.service != service:
		return invalid(otherService, "Credential should be scoped to correct service: '%s', not '%s'.", service, sig.service)
	case sig.region != account.Region:
		return invalid(otherRegion, "Credential should be scoped to a valid region, not '%s': the local cloud is in %s.", sig.region, account.Region)
	case sig.date != sig.time.Format("20060102"):
		return invalid(otherDate, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'.", sig.date, sig.time.Format("20060102"))
	}
	return nil
}

// current checks the date. A presigned request says itself how long it lives.
func (sig *signature) current(now time.Time) *SignatureError {
	tolerance := skew
	if sig.forS3() {
		tolerance = objectSkew
	}
	life := tolerance
	if sig.presigned {
		life = sig.expires
	}
	switch {
	case now.After(sig.time.Add(life)):
		return invalid(expiredRequest, "Signature expired: %s is now earlier than %s (%s - %s)", sig.time.Format(timeFormat), now.Add(-life).Format(timeFormat), now.Format(timeFormat), minutes(life))
	case now.Before(sig.time.Add(-tolerance)):
		return invalid(earlyRequest, "Signature not yet current: %s is still later than %s (%s + %s)", sig.time.Format(timeFormat), now.Add(tolerance).Format(timeFormat), now.Format(timeFormat), minutes(tolerance))
	}
	return nil
}

func minutes(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min."
	}
	return strconv.Itoa(int(d/time.Second)) + " sec."
}

// unsigned stands for the hash of a body that the signature does not cover. S3
// alone takes it.
const unsigned = "UNSIGNED-PAYLOAD"

func (sig *signature) payloadHash(body []byte) (string, *SignatureError) {
	switch {
	case sig.forS3() && (sig.payload == unsigned || strings.HasPrefix(sig.payload, streaming)):
		return sig.payload, nil
	case sig.forS3() && sig.payload == "" && sig.presigned:
		return unsigned, nil
	case sig.forS3() && sig.payload == "":
		return "", invalid(noHash, "The request has no x-amz-content-sha256.")
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if sig.payload != "" && !strings.EqualFold(sig.payload, hash) {
		refusal := invalid(wrongHash, "The x-amz-content-sha256 of the request, %s, is not that of its body, %s.", abbreviate(sig.payload), hash)
		refusal.about = hash
		return "", refusal
	}
	return hash, nil
}

// sign derives the signing key and signs a canonical request:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (sig *signature) sign(secret, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{sig.date, sig.region, sig.service, "aws4_request"}, "/")
	sig.canonical = canonical
	sig.toSign = strings.Join([]string{algorithm, sig.time.Format(timeFormat), scope, hex.EncodeToString(sum[:])}, "\n")
	key := mac([]byte("AWS4"+secret), sig.date)
	for _, part := range []string{sig.region, sig.service, "aws4_request", sig.toSign} {
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
