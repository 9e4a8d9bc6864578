package s3

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// BucketSpec is what a bucket is made from.
type BucketSpec struct {
	Name      string
	Lifecycle []LifecycleRule
	CORS      []CORSRule
	Tags      map[string]string
}

// LifecycleRule ends objects after their time.
type LifecycleRule struct {
	ID       string
	Disabled bool
	// Prefix is what the keys of the objects begin with; "" is all.
	Prefix string
	// Objects larger and smaller than this many bytes are meant; 0 is no bound.
	LargerThan, SmallerThan int64
	// Days is how long an object lives: it ends at the midnight (UTC) after that.
	// 0: the rule ends nothing by age.
	Days int
	// Date is when all objects end; the zero time for none.
	Date time.Time
}

// CORSRule is what a bucket allows to pages of other origins.
type CORSRule struct {
	ID string
	// Origins and Headers may each have one wildcard *.
	Origins, Methods, Headers []string
	Expose                    []string // headers that a page may read
	MaxAge                    *int     // seconds that a preflight may be kept; nil: not said
}

var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// corsMethods are all that a rule may name.
	corsMethods = []string{"GET", "PUT", "HEAD", "POST", "DELETE"}
)

// maxRules is how many lifecycle rules a bucket has at most, maxCORS how many
// CORS rules:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
const (
	maxRules = 1000
	maxCORS  = 100
)

func (spec *BucketSpec) validate() error {
	if !nameAllowed(spec.Name) {
		return &Error{Code: "InvalidBucketName", Message: "The specified bucket is not valid.", Status: 400, Details: []Detail{{"BucketName", spec.Name}}}
	}
	if len(spec.Lifecycle) > maxRules {
		return refuse(400, "InvalidRequest", "The lifecycle configuration has more than %d rules", maxRules)
	}
	if len(spec.CORS) > maxCORS {
		return refuse(400, "InvalidRequest", "The CORS configuration has more than %d rules", maxCORS)
	}
	ids := map[string]bool{}
	for _, rule := range spec.Lifecycle {
		if rule.ID != "" && ids[rule.ID] {
			return refuse(400, "InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
		}
		ids[rule.ID] = true
		if err := rule.validate(); err != nil {
			return err
		}
	}
	for _, rule := range spec.CORS {
		if err := rule.validate(); err != nil {
			return err
		}
	}
	return nil
}

// nameAllowed checks the naming rules:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func nameAllowed(name string) bool {
	if !validName.MatchString(name) || strings.Contains(name, "..") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}

func (rule *LifecycleRule) validate() error {
	switch {
	case len(rule.ID) > 255:
		return refuse(400, "InvalidArgument", "ID length should not exceed allowed limit of 255")
	case rule.Days < 0:
		return refuse(400, "InvalidArgument", "'Days' for Expiration action must be a positive integer")
	case rule.Days > 0 && !rule.Date.IsZero():
		return refuse(400, "MalformedXML", "The lifecycle rule %q has both Days and Date", rule.ID)
	case !rule.Date.IsZero() && !rule.Date.Equal(rule.Date.UTC().Truncate(day)):
		return refuse(400, "InvalidArgument", "'Date' must be at midnight GMT")
	case rule.SmallerThan > 0 && rule.SmallerThan <= rule.LargerThan:
		return refuse(400, "InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

func (rule *CORSRule) validate() error {
	if len(rule.Origins) == 0 || len(rule.Methods) == 0 {
		return refuse(400, "MalformedXML", "A CORS rule needs at least one allowed origin and one allowed method")
	}
	for _, method := range rule.Methods {
		if !slices.Contains(corsMethods, method) {
			return refuse(400, "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is %s", method)
		}
	}
	for _, origin := range rule.Origins {
		if strings.Count(origin, "*") > 1 {
			return refuse(400, "InvalidRequest", "AllowedOrigin %q can not have more than one wildcard.", origin)
		}
	}
	for _, header := range rule.Headers {
		if strings.Count(header, "*") > 1 {
			return refuse(400, "InvalidRequest", "AllowedHeader %q can not have more than one wildcard.", header)
		}
	}
	for _, header := range rule.Expose {
		if strings.Contains(header, "*") {
			return refuse(400, "InvalidRequest", "ExposeHeader %q contains wildcard. We currently do not support wildcard for ExposeHeader.", header)
		}
	}
	return nil
}
