package component

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// snapshot is all that a deployment of the API ships. A stage serves what was
// there when its deployment was made, so a new one is needed whenever any
// property of any of these changes: the hash is over all of them, also those
// that are added here later.
type snapshot struct {
	resources []pulumi.Resource
	values    []any
}

// add takes a resource with the arguments that it was made from.
func (s *snapshot) add(r pulumi.CustomResource, args any) {
	s.resources = append(s.resources, r)
	v := reflect.ValueOf(args)
	s.values = append(s.values, v.Type().Name(), r.ID())
	for i := range v.NumField() {
		if field := v.Field(i); !field.IsNil() {
			s.values = append(s.values, v.Type().Field(i).Name, field.Interface())
		}
	}
}

// hash is known when everything is.
func (s *snapshot) hash() pulumi.StringOutput {
	return pulumi.All(s.values...).ApplyT(func(values []any) (string, error) {
		text, err := json.Marshal(values)
		sum := sha256.Sum256(text)
		return hex.EncodeToString(sum[:]), err
	}).(pulumi.StringOutput)
}
