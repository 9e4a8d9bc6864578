package iam

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
	// What the signature is compared with was made over these two texts.
	canonical, toSign string
}

func (sig *signature) forS3() bool { return sig.service == objectStore }

// parseSignature returns what it could read together with an error.
func parseSignature(r *http.Request, service string) (*signature, *SignatureError) {
	header, query := r.Header.Get("Authorization"), r.URL.Query()
	switch {
	case header != "" && service == objectStore && query.Has("X-Amz-Algorithm"):
		return &signature{}, invalid(twoSignatures, "The request is signed by header and by query.")
	case header != "":
		return parseHeader(r, header)
	case Presigned(r):
		return parseQuery(r, query, service)
	}
	return &signature{}, refuse(noSignature, "MissingAuthenticationTokenException", "Missing Authentication Token")
}

func parseHeader(r *http.Request, header string) (*signature, *SignatureError) {
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return &signature{}, incomplete(otherAlgorithm, "Authorization header requires the algorithm %s. Authorization=%s", algorithm, abbreviate(header))
	}
	sig := &signature{token: r.Header.Get("X-Amz-Security-Token"), payload: r.Header.Get("X-Amz-Content-Sha256")}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			return sig, incomplete(missingPart, "Authorization header requires '%s' parameter. Authorization=%s", name, abbreviate(header))
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

func parseQuery(r *http.Request, query url.Values, service string) (*signature, *SignatureError) {
	sig := &signature{
		presigned: true, value: query.Get("X-Amz-Signature"), token: query.Get("X-Amz-Security-Token"),
		headers: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), expires: skew,
	}
	required := []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"}
	if service == objectStore {
		required = append(required, "X-Amz-Expires")
	}
	for _, name := range required {
		if query.Get(name) == "" {
			return sig, incomplete(missingPart, "AWS query-string parameters must include '%s'.", name)
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return sig, incomplete(otherAlgorithm, "X-Amz-Algorithm must be %s, not %s", algorithm, query.Get("X-Amz-Algorithm"))
	}
	if sig.payload = query.Get("X-Amz-Content-Sha256"); sig.payload == "" {
		sig.payload = r.Header.Get("X-Amz-Content-Sha256")
	}
	if e := query.Get("X-Amz-Expires"); e != "" {
		seconds, err := strconv.Atoi(e)
		if err != nil || seconds < 1 || seconds > maxExpires {
			refusal := incomplete(badExpires, "X-Amz-Expires must be a number of seconds from 1 to %d, not %s", maxExpires, e)
			refusal.about = e
			return sig, refusal
		}
		sig.expires = time.Duration(seconds) * time.Second
	}
	return sig, sig.finish(query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

func (sig *signature) finish(credential, date string) *SignatureError {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return incomplete(badCredential, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got '%s'", credential)
	}
	sig.key, sig.date, sig.region, sig.service = parts[0], parts[1], parts[2], parts[3]
	t, err := time.Parse(timeFormat, date)
	if err != nil {
		return incomplete(badDate, "Date must be in ISO-8601 'basic format'. Got '%s'.", date)
	}
	sig.time = t
	if !slices.Contains(sig.headers, "host") {
		refusal := invalid(unsignedHeader, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
		refusal.about = "host"
		return refusal
	}
	return nil
}

// allSigned checks that the signature covers all headers of AWS's own, so that
// nobody can change what the request asks for, or add to a presigned URL. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (sig *signature) allSigned(r *http.Request) *SignatureError {
	var names []string
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(sig.headers, strings.ToLower(name)) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	refusal := invalid(unsignedHeader, "'%s' must be a 'SignedHeader' in the AWS Authorization.", strings.Join(names, "', '"))
	refusal.about = strings.ToLower(strings.Join(names, ", "))
	return refusal
}
