package s3

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// varies is what an answer with CORS headers depends on.
const varies = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// preflight answers what a browser asks before a request to another origin; it
// is never signed. See
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html
func (x *exchange) preflight() error {
	origin, method := x.r.Header.Get("Origin"), x.r.Header.Get("Access-Control-Request-Method")
	if origin == "" {
		return refuse(http.StatusBadRequest, "BadRequest", "Insufficient information. Origin request header needed.")
	}
	if !slices.Contains(corsMethods, method) {
		if x.r.Header["Access-Control-Request-Method"] == nil {
			method = "null"
		}
		return refuse(http.StatusBadRequest, "BadRequest", "Invalid Access-Control-Request-Method: %s", method)
	}
	forbidden := func(message string) *Error {
		kind := "OBJECT"
		if x.key == "" {
			kind = "BUCKET"
		}
		return refuse(http.StatusForbidden, "AccessForbidden", "CORSResponse: %s", message).with("Method", method).with("ResourceType", kind)
	}
	info, ok := x.s.Bucket(x.bucket)
	switch {
	case !ok:
		return forbidden("Bucket not found")
	case len(info.Spec.CORS) == 0:
		return forbidden("CORS is not enabled for this bucket.")
	}
	var headers []string
	for name := range strings.SplitSeq(x.r.Header.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			headers = append(headers, name)
		}
	}
	for i := range info.Spec.CORS {
		if rule := &info.Spec.CORS[i]; rule.allows(origin, method) && rule.allowsHeaders(headers) {
			rule.set(x.w.Header(), origin)
			if len(headers) > 0 {
				x.w.Header().Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
			}
			x.w.Header().Set("Content-Length", "0")
			x.w.WriteHeader(http.StatusOK)
			return nil
		}
	}
	// The misspelling is AWS's.
	return forbidden("This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
}

// allowOrigin adds the CORS headers of the first rule that allows the request,
// to whatever its answer will be.
func (x *exchange) allowOrigin() {
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return
	}
	info, _ := x.s.Bucket(x.bucket)
	for i := range info.Spec.CORS {
		if rule := &info.Spec.CORS[i]; rule.allows(origin, x.r.Method) {
			rule.set(x.w.Header(), origin)
			return
		}
	}
}

func (rule *CORSRule) allows(origin, method string) bool {
	return slices.Contains(rule.Methods, method) && slices.ContainsFunc(rule.Origins, func(pattern string) bool { return fits(pattern, origin) })
}

func (rule *CORSRule) allowsHeaders(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(rule.Headers, func(pattern string) bool { return fits(strings.ToLower(pattern), name) }) {
			return false
		}
	}
	return true
}

// fits matches a pattern with one wildcard at most.
func fits(pattern, s string) bool {
	head, tail, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(head)+len(tail) && strings.HasPrefix(s, head) && strings.HasSuffix(s, tail)
}

// set adds the headers that let the page have the answer.
func (rule *CORSRule) set(h http.Header, origin string) {
	if slices.Contains(rule.Origins, "*") {
		origin = "*"
	} else {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", strings.Join(rule.Methods, ", "))
	if len(rule.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(rule.Expose, ", "))
	}
	if rule.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*rule.MaxAge))
	}
	h.Set("Vary", varies)
}
