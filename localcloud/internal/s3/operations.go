package s3

import (
	"net/http"
	"strings"
)

// operation finds what a request asks for: its name in the API, and what
// answers it; nil for what the local S3 does not have. See
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
func (x *exchange) operation() (name string, run func(*exchange, []byte) error) {
	switch {
	case x.bucket == "":
		return x.ofService(), nil
	case x.key == "":
		return x.ofBucket()
	}
	return x.ofObject()
}

func (x *exchange) ofService() string {
	if x.r.Method == http.MethodGet {
		return "ListBuckets"
	}
	return x.r.Method + " /"
}

// subresources are the parameters that make an operation another one. Those
// with a verb are named by it, the others by the method and their noun.
type subresources []struct{ parameter, method, name string }

func (list subresources) find(x *exchange) string {
	for _, sub := range list {
		if !x.query.Has(sub.parameter) || sub.method != "" && sub.method != x.r.Method {
			continue
		}
		if sub.method != "" {
			return sub.name
		}
		return verb(x.r.Method) + sub.name
	}
	return ""
}

func verb(method string) string { return method[:1] + strings.ToLower(method[1:]) }

func (x *exchange) ofBucket() (string, func(*exchange, []byte) error) {
	name := subresources{
		{"delete", "POST", "DeleteObjects"}, {"uploads", "GET", "ListMultipartUploads"}, {"versions", "GET", "ListObjectVersions"},
		{"location", "GET", "GetBucketLocation"}, {"session", "GET", "CreateSession"}, {"policyStatus", "GET", "GetBucketPolicyStatus"},
		{"accelerate", "", "BucketAccelerateConfiguration"}, {"acl", "", "BucketAcl"}, {"analytics", "", "BucketAnalyticsConfiguration"},
		{"cors", "", "BucketCors"}, {"encryption", "", "BucketEncryption"}, {"intelligent-tiering", "", "BucketIntelligentTieringConfiguration"},
		{"inventory", "", "BucketInventoryConfiguration"}, {"lifecycle", "", "BucketLifecycleConfiguration"}, {"logging", "", "BucketLogging"},
		{"metrics", "", "BucketMetricsConfiguration"}, {"notification", "", "BucketNotificationConfiguration"},
		{"object-lock", "", "ObjectLockConfiguration"}, {"ownershipControls", "", "BucketOwnershipControls"}, {"policy", "", "BucketPolicy"},
		{"publicAccessBlock", "", "PublicAccessBlock"}, {"replication", "", "BucketReplication"}, {"requestPayment", "", "BucketRequestPayment"},
		{"tagging", "", "BucketTagging"}, {"versioning", "", "BucketVersioning"}, {"website", "", "BucketWebsite"},
	}.find(x)
	switch {
	case name != "":
		return name, nil
	case x.r.Method == http.MethodHead:
		return "HeadBucket", (*exchange).headBucket
	case x.r.Method == http.MethodGet && x.query.Get("list-type") == "2":
		return "ListObjectsV2", (*exchange).listObjects
	case x.r.Method == http.MethodGet:
		return "ListObjects", nil
	case x.r.Method == http.MethodPut:
		return "CreateBucket", nil
	case x.r.Method == http.MethodDelete:
		return "DeleteBucket", nil
	case x.r.Method == http.MethodPost:
		return "PostObject", nil
	}
	return x.r.Method + " of a bucket", nil
}

func (x *exchange) ofObject() (string, func(*exchange, []byte) error) {
	name := subresources{
		{"uploads", "POST", "CreateMultipartUpload"}, {"uploadId", "POST", "CompleteMultipartUpload"}, {"uploadId", "PUT", "UploadPart"},
		{"uploadId", "DELETE", "AbortMultipartUpload"}, {"uploadId", "GET", "ListParts"}, {"attributes", "GET", "GetObjectAttributes"},
		{"select", "POST", "SelectObjectContent"}, {"restore", "POST", "RestoreObject"}, {"torrent", "GET", "GetObjectTorrent"},
		{"renameObject", "PUT", "RenameObject"}, {"acl", "", "ObjectAcl"}, {"legal-hold", "", "ObjectLegalHold"},
		{"retention", "", "ObjectRetention"}, {"tagging", "", "ObjectTagging"},
	}.find(x)
	if name != "" {
		return name, nil
	}
	for _, parameter := range []string{"versionId", "partNumber"} {
		if x.query.Has(parameter) {
			return verb(x.r.Method) + "Object with " + parameter, nil
		}
	}
	switch x.r.Method {
	case http.MethodPut:
		if x.param("X-Amz-Copy-Source") != "" {
			return "CopyObject", nil
		}
		return "PutObject", (*exchange).putObject
	case http.MethodGet:
		return "GetObject", (*exchange).getObject
	case http.MethodHead:
		return "HeadObject", (*exchange).getObject
	case http.MethodDelete:
		return "DeleteObject", (*exchange).deleteObject
	}
	return x.r.Method + " of an object", nil
}
