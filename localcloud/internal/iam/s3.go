package iam

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

const (
	objectStore = "s3" // the name of S3 in a credential's scope
	// objectSkew is how far off the date of a request to S3 may be:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
	objectSkew = 15 * time.Minute
	// streaming begins what stands for the hash of a body in chunks:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
	streaming = "STREAMING-"
)

func answer(status int, code, message string, details ...Detail) *SignatureError {
	return &SignatureError{Code: code, Message: message, Status: status, Details: details}
}

// ofS3 is the refusal in the words of S3:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (e *SignatureError) ofS3(r *http.Request, sig *signature, now time.Time) *SignatureError {
	switch e.reason {
	case noSignature:
		return answer(http.StatusForbidden, "AccessDenied", "Access Denied")
	case twoSignatures:
		return answer(http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified", Detail{"ArgumentName", "Authorization"})
	case unsignedHeader:
		return answer(http.StatusForbidden, "AccessDenied", "There were headers present in the request which were not signed", Detail{"HeadersNotSigned", e.about})
	case unknownKey:
		return answer(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", Detail{"AWSAccessKeyId", sig.key})
	case wrongToken:
		return answer(http.StatusBadRequest, "InvalidToken", "The provided token is malformed or otherwise invalid.")
	case endedSession, expiredToken:
		return answer(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	case noHash:
		return answer(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	case wrongHash:
		return answer(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.",
			Detail{"ClientComputedContentSHA256", sig.payload}, Detail{"S3ComputedContentSHA256", e.about})
	case wrongSignature:
		return answer(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
			Detail{"AWSAccessKeyId", sig.key}, Detail{"StringToSign", sig.toSign}, Detail{"SignatureProvided", sig.value}, Detail{"CanonicalRequest", sig.canonical})
	case expiredRequest, earlyRequest:
		return sig.untimely(e.reason, now)
	}
	if sig.presigned {
		return sig.wrongQuery(e)
	}
	return sig.wrongHeader(e, r)
}

// untimely is the answer to a request that is too old or too early.
func (sig *signature) untimely(why reason, now time.Time) *SignatureError {
	server := Detail{"ServerTime", now.UTC().Format(time.RFC3339)}
	switch {
	case !sig.presigned:
		return answer(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
			Detail{"RequestTime", sig.time.Format(timeFormat)}, server, Detail{"MaxAllowedSkewMilliseconds", strconv.FormatInt(objectSkew.Milliseconds(), 10)})
	case why == earlyRequest:
		return answer(http.StatusForbidden, "AccessDenied", "Request is not yet valid", Detail{"X-Amz-Date", sig.time.Format(timeFormat)}, server)
	}
	return answer(http.StatusForbidden, "AccessDenied", "Request has expired",
		Detail{"X-Amz-Expires", strconv.Itoa(int(sig.expires / time.Second))}, Detail{"Expires", sig.time.Add(sig.expires).Format(time.RFC3339)}, server)
}

const malformedCredential = `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`

// wrongScope says what is wrong in a credential's scope.
func (sig *signature) wrongScope(why reason) (text string, details []Detail) {
	switch why {
	case otherRegion:
		return fmt.Sprintf("the region '%s' is wrong; expecting '%s'", sig.region, account.Region), []Detail{{"Region", account.Region}}
	case otherService:
		return fmt.Sprintf("incorrect service %q. This endpoint belongs to %q.", sig.service, objectStore), nil
	}
	return malformedCredential, nil
}

// otherDay says that the credential's scope is of another day.
func (sig *signature) otherDay() string {
	return fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", sig.date, sig.time.Format("20060102"))
}

func (sig *signature) wrongQuery(e *SignatureError) *SignatureError {
	refused := func(message string, details ...Detail) *SignatureError {
		return answer(http.StatusBadRequest, "AuthorizationQueryParametersError", message, details...)
	}
	switch e.reason {
	case missingPart:
		return refused("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	case otherAlgorithm:
		return refused(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	case badDate:
		return refused(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	case otherDate:
		return refused(sig.otherDay())
	case badExpires:
		seconds, err := strconv.Atoi(e.about)
		switch {
		case err != nil:
			return refused("X-Amz-Expires should be a number")
		case seconds > maxExpires:
			return refused("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		return refused("X-Amz-Expires must be non-negative")
	}
	text, details := sig.wrongScope(e.reason)
	return refused("Error parsing the X-Amz-Credential parameter; "+text, details...)
}

func (sig *signature) wrongHeader(e *SignatureError, r *http.Request) *SignatureError {
	malformed := func(message string, details ...Detail) *SignatureError {
		return answer(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header is malformed; "+message, details...)
	}
	switch e.reason {
	case otherAlgorithm:
		if strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") { // Signature Version 2
			return answer(http.StatusBadRequest, "InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
		}
		return answer(http.StatusBadRequest, "InvalidArgument", "Unsupported Authorization Type", Detail{"ArgumentName", "Authorization"})
	case missingPart:
		return malformed("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	case badDate:
		return answer(http.StatusForbidden, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
	case otherDate:
		return malformed(sig.otherDay())
	}
	text, details := sig.wrongScope(e.reason)
	return malformed(text, details...)
}
