package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

func s3Kinds() []*kind {
	kinds := []*kind{
		bucketKind(),
		bucketPart("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", "rules", setLifecycle,
			func(spec *s3.BucketSpec) { spec.Lifecycle = nil }, func(spec *s3.BucketSpec) bool { return len(spec.Lifecycle) > 0 }),
		bucketPart("aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2", "corsRules", setCORS,
			func(spec *s3.BucketSpec) { spec.CORS = nil }, func(spec *s3.BucketSpec) bool { return len(spec.CORS) > 0 }),
		bucketNote("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", func(r *reader) {
			for _, key := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
				r.flag(key)
			}
		}),
		bucketNote("aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2", checkEncryption),
		bucketNote("aws:s3/bucketOwnershipControls:BucketOwnershipControls", checkOwnership),
	}
	lifecycle, access := kinds[1], kinds[3]
	lifecycle.defaults = object(map[string]any{"expectedBucketOwner": "", "transitionDefaultMinimumObjectSize": "all_storage_classes_128K"})
	access.defaults = object(map[string]any{
		"blockPublicAcls": false, "blockPublicPolicy": false, "ignorePublicAcls": false, "restrictPublicBuckets": false,
	})
	return kinds
}

func bucketKind() *kind {
	return &kind{
		token:  "aws:s3/bucketV2:BucketV2",
		naming: naming{"bucket", 63},
		lower:  true,
		tagged: true,
		defaults: object(map[string]any{
			"forceDestroy": false, "objectLockEnabled": false, "requestPayer": "BucketOwner", "accelerationStatus": "", "acl": "private", "policy": "",
		}),
		replaces: []string{"bucket", "objectLockEnabled"},
		absent: map[string]string{
			"bucketPrefix":            "the input bucketPrefix is refused: a name is given or made",
			"objectLockConfiguration": "buckets have no object lock",
			"websiteDomain":           "buckets are no websites",
			"websiteEndpoint":         "buckets are no websites",
		},
		check: func(r *reader) {
			bucketSpec(r)
			r.only("acl", "private")
			r.only("requestPayer", "BucketOwner")
			if r.flag("objectLockEnabled") {
				r.reject("objectLockEnabled", "is not supported by the local cloud")
			}
			r.flag("forceDestroy")
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			spec := bucketSpec(o.in)
			var info s3.BucketInfo
			err := o.notes.create("bucket", spec.Name, func() bool {
				_, ok := o.cloud.Buckets.Bucket(spec.Name)
				return ok
			}, fmt.Errorf("create bucket %s: BucketAlreadyOwnedByYou: it exists already", spec.Name), func() (err error) {
				info, err = o.cloud.Buckets.PutBucket(spec)
				return err
			})
			return info.Name, bucketOutputs(info), err
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			tags := o.in.texts("tags")
			return nil, changeBucket(o, o.id, func(spec *s3.BucketSpec) { spec.Tags = tags })
		},
		remove: func(o *operation) error {
			if _, ok := o.cloud.Buckets.Bucket(o.id); !ok {
				return nil
			}
			return o.cloud.Buckets.DeleteBucket(o.id, o.in.flag("forceDestroy"))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Buckets.Bucket(o.id)
			return bucketOutputs(info), ok
		},
	}
}

func bucketSpec(r *reader) s3.BucketSpec {
	return s3.BucketSpec{Name: r.str("bucket"), Tags: r.texts("tags")}
}

// bucketOutputs are what AWS has for a bucket that nothing was said of.
func bucketOutputs(info s3.BucketInfo) resource.PropertyMap {
	return object(map[string]any{
		"arn": info.ARN, "region": account.Region,
		"bucketDomainName":         info.Name + ".s3.amazonaws.com",
		"bucketRegionalDomainName": info.Name + ".s3." + account.Region + ".amazonaws.com",
		// Of us-east-1: https://docs.aws.amazon.com/general/latest/gr/s3.html
		"hostedZoneId": "Z3AQBSTGFJSTF",
		"grants":       []any{map[string]any{"id": s3.OwnerID, "type": "CanonicalUser", "permissions": []any{"FULL_CONTROL"}, "uri": ""}},
		"versionings":  []any{map[string]any{"enabled": false, "mfaDelete": false}},
		"serverSideEncryptionConfigurations": []any{map[string]any{"rules": []any{map[string]any{
			"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "AES256", "kmsMasterKeyId": ""}, "bucketKeyEnabled": false,
		}}}},
	})
}

// changeBucket changes one thing of a bucket; its parts are made at the same time.
func changeBucket(o *operation, name string, change func(*s3.BucketSpec)) error {
	_, err := o.cloud.Buckets.ChangeBucket(name, change)
	return err
}

// checkBucket checks the input bucket of a part; the id of a part is it too.
func checkBucket(r *reader) {
	r.require("bucket")
	name := r.str("bucket")
	if strings.HasPrefix(name, "arn:") {
		r.reject("bucket", "must be the name of the bucket, is the ARN %s", name)
	}
	r.only("expectedBucketOwner", account.ID)
}

// bucketPart is a kind that is one property of a bucket.
func bucketPart(token, property string, set func(*reader, *s3.BucketSpec), reset func(*s3.BucketSpec), there func(*s3.BucketSpec) bool) *kind {
	put := func(o *operation, name string) error {
		return changeBucket(o, name, func(spec *s3.BucketSpec) {
			reset(spec) // what set adds to is its own then
			set(o.in, spec)
		})
	}
	return &kind{
		token:    token,
		replaces: []string{"bucket", "expectedBucketOwner"},
		check: func(r *reader) {
			checkBucket(r)
			r.require(property)
			if v, ok := r.value(property); ok && v.IsArray() && len(v.ArrayValue()) == 0 {
				r.reject(property, "must have at least one rule")
			}
			set(r, new(s3.BucketSpec))
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			name := o.in.str("bucket")
			return name, nil, put(o, name)
		},
		update: func(o *operation) (resource.PropertyMap, error) { return nil, put(o, o.id) },
		remove: func(o *operation) error {
			if _, ok := o.cloud.Buckets.Bucket(o.id); !ok {
				return nil
			}
			return changeBucket(o, o.id, reset)
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Buckets.Bucket(o.id)
			return nil, ok && there(&info.Spec)
		},
	}
}

// bucketNote is a kind that has no effect on a bucket here: nobody else has
// access to it, and nothing of it is on a disk.
func bucketNote(token string, check func(*reader)) *kind {
	return &kind{
		token:    token,
		replaces: []string{"bucket", "expectedBucketOwner"},
		check: func(r *reader) {
			checkBucket(r)
			check(r)
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			name := o.in.str("bucket")
			if _, ok := o.cloud.Buckets.Bucket(name); !ok {
				return "", nil, fmt.Errorf("change bucket %s: NoSuchBucket: it does not exist", name)
			}
			o.notes.note(token, name)
			return name, nil, nil
		},
		update: func(*operation) (resource.PropertyMap, error) { return nil, nil },
		remove: func(o *operation) error {
			o.notes.remove(token, o.id)
			return nil
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			_, ok := o.cloud.Buckets.Bucket(o.id)
			return nil, ok && o.notes.has(token, o.id)
		},
	}
}

func checkEncryption(r *reader) {
	r.require("rules")
	r.objects("rules", func(rule *reader) {
		rule.flag("bucketKeyEnabled")
		rule.object("applyServerSideEncryptionByDefault", func(by *reader) {
			by.require("sseAlgorithm")
			by.oneOf("sseAlgorithm", "AES256", "aws:kms", "aws:kms:dsse")
			by.str("kmsMasterKeyId")
		})
	})
}

func checkOwnership(r *reader) {
	r.require("rule")
	r.object("rule", func(rule *reader) {
		rule.require("objectOwnership")
		rule.only("objectOwnership", "BucketOwnerEnforced")
	})
}

func setCORS(r *reader, spec *s3.BucketSpec) {
	r.objects("corsRules", func(rule *reader) {
		rule.require("allowedMethods", "allowedOrigins")
		spec.CORS = append(spec.CORS, s3.CORSRule{
			ID: rule.str("id"), Origins: rule.strings("allowedOrigins"), Methods: rule.strings("allowedMethods"),
			Headers: rule.strings("allowedHeaders"), Expose: rule.strings("exposeHeaders"), MaxAge: rule.optional("maxAgeSeconds", 0, 1<<31-1),
		})
	})
}

func setLifecycle(r *reader, spec *s3.BucketSpec) {
	r.ignore("timeouts")
	r.oneOf("transitionDefaultMinimumObjectSize", "all_storage_classes_128K", "varies_by_storage_class")
	r.objects("rules", func(rule *reader) {
		rule.require("id", "status")
		if rule.given("filter") && rule.given("prefix") {
			rule.reject("prefix", "must not be given together with filter")
		}
		made := s3.LifecycleRule{
			ID: rule.str("id"), Disabled: rule.oneOf("status", "Enabled", "Disabled") == "Disabled", Prefix: rule.str("prefix"),
		}
		rule.object("filter", func(filter *reader) {
			setFilter(filter, &made)
			filter.object("and", func(and *reader) { setFilter(and, &made) })
		})
		rule.object("expiration", func(end *reader) { setExpiration(end, &made) })
		// Nothing is uploaded in parts here, so none are left over.
		rule.object("abortIncompleteMultipartUpload", func(parts *reader) { parts.integer("daysAfterInitiation", 1, 1<<31-1) })
		spec.Lifecycle = append(spec.Lifecycle, made)
	})
}

func setFilter(r *reader, rule *s3.LifecycleRule) {
	if r.given("prefix") {
		rule.Prefix = r.str("prefix")
	}
	if n := r.optional("objectSizeGreaterThan", 0, 1<<53); n != nil {
		rule.LargerThan = int64(*n)
	}
	if n := r.optional("objectSizeLessThan", 1, 1<<53); n != nil {
		rule.SmallerThan = int64(*n)
	}
}

func setExpiration(r *reader, rule *s3.LifecycleRule) {
	if n := r.optional("days", 1, 1<<31-1); n != nil {
		rule.Days = *n
	}
	if r.flag("expiredObjectDeleteMarker") {
		r.reject("expiredObjectDeleteMarker", "is not supported by the local cloud: objects have no versions")
	}
	text := r.str("date")
	if text == "" {
		return
	}
	if r.given("days") {
		r.reject("date", "must not be given together with days")
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		r.reject("date", "must be a date such as 2006-01-02T00:00:00Z, is %q", text)
	}
	rule.Date = at
}
