package iam

import "fmt"

// callKeys are the condition keys, in lower case, that calls have here: those
// of every call, and those that the services add (WithValues).
var callKeys = keySet(
	"aws:currenttime", "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principaltype",
	"aws:requestedregion", "aws:resourceaccount", "aws:securetransport", "aws:sourceip", "aws:useragent",
	"dynamodb:leadingkeys",
	"s3:authtype", "s3:delimiter", "s3:if-match", "s3:if-none-match", "s3:max-keys", "s3:prefix", "s3:signatureversion",
	"s3:x-amz-acl", "s3:x-amz-content-sha256", "s3:x-amz-server-side-encryption", "s3:x-amz-storage-class",
)

// trustKeys are those of a service that assumes a role.
var trustKeys = keySet(
	"aws:currenttime", "aws:epochtime", "aws:requestedregion", "aws:resourceaccount", "aws:securetransport",
	"aws:sourceaccount", "aws:sourcearn",
)

func keySet(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// vocabulary is what a document may speak of.
type vocabulary struct {
	variables bool            // that there are policy variables
	keys      map[string]bool // condition keys; nil for a statement that nobody here is meant by
}

// check refuses a condition key that no call has here. On AWS calls may have
// it: then ForAllValues and …IfExists, which a missing key satisfies, would
// allow here what is denied there.
func (v vocabulary) check(key string) error {
	if v.keys == nil || v.keys[key] {
		return nil
	}
	return fmt.Errorf("the condition key %s is not known to the local cloud", key)
}
