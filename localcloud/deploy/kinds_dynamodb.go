package deploy

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func dynamodbKinds() []*kind {
	return []*kind{{
		token:  "aws:dynamodb/table:Table",
		naming: naming{"name", 255},
		tagged: true,
		defaults: object(map[string]any{
			"billingMode": "PROVISIONED", "deletionProtectionEnabled": false, "streamEnabled": false, "streamViewType": "",
			"tableClass": "STANDARD", "readCapacity": 0, "writeCapacity": 0,
			"pointInTimeRecovery":  map[string]any{"enabled": false},
			"serverSideEncryption": map[string]any{"enabled": false},
			"ttl":                  map[string]any{"enabled": false},
		}),
		replaces: []string{"name", "hashKey", "rangeKey"},
		volatile: []string{"streamArn", "streamLabel"},
		check:    func(r *reader) { tableSpec(r) },
		create: func(o *operation) (string, resource.PropertyMap, error) {
			info, err := o.cloud.Tables.CreateTable(tableSpec(o.in))
			return info.Name, tableOutputs(info), err
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			info, err := o.cloud.Tables.UpdateTable(tableSpec(o.in))
			return tableOutputs(info), err
		},
		remove: func(o *operation) error {
			if _, ok := o.cloud.Tables.Table(o.id); !ok {
				return nil
			}
			return o.cloud.Tables.DeleteTable(o.id)
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Tables.Table(o.id)
			return tableOutputs(info), ok
		},
	}}
}

func tableOutputs(info dynamodb.TableInfo) resource.PropertyMap {
	return object(map[string]any{
		"arn": info.ARN, "streamArn": info.StreamARN, "streamLabel": info.StreamLabel,
	})
}

func tableSpec(r *reader) dynamodb.TableSpec {
	spec := dynamodb.TableSpec{
		Name: r.str("name"), Hash: r.str("hashKey"), Range: r.str("rangeKey"),
		DeletionProtection: r.flag("deletionProtectionEnabled"), Tags: r.texts("tags"),
	}
	r.require("hashKey", "attributes")
	r.oneOf("billingMode", "PROVISIONED", "PAY_PER_REQUEST")
	r.oneOf("tableClass", "STANDARD", "STANDARD_INFREQUENT_ACCESS")
	r.ignore("readCapacity", "writeCapacity", "onDemandThroughput", "pointInTimeRecovery", "serverSideEncryption")
	view := r.oneOf("streamViewType", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
	if r.flag("streamEnabled") {
		r.require("streamViewType")
		spec.Stream = view
	}
	r.object("ttl", func(ttl *reader) {
		name, enabled := ttl.str("attributeName"), ttl.flag("enabled")
		if enabled || name != "" && !ttl.given("enabled") {
			ttl.require("attributeName")
			spec.TTL = name
		}
	})
	types := attributeTypes(r)
	r.objects("globalSecondaryIndexes", func(ix *reader) {
		ix.require("name", "hashKey", "projectionType")
		ix.ignore("readCapacity", "writeCapacity", "onDemandThroughput")
		spec.Indexes = append(spec.Indexes, dynamodb.IndexSpec{
			Name: ix.str("name"),
			Hash: ix.str("hashKey"), HashType: types.of(ix, "hashKey"),
			Range: ix.str("rangeKey"), RangeType: types.of(ix, "rangeKey"),
			Projection: ix.oneOf("projectionType", "ALL", "KEYS_ONLY", "INCLUDE"),
			Include:    ix.strings("nonKeyAttributes"),
		})
	})
	spec.HashType, spec.RangeType = types.of(r, "hashKey"), types.of(r, "rangeKey")
	types.unused(r)
	return spec
}

// attributes are the declared types of a table's key attributes.
type attributes struct {
	types map[string]string
	used  map[string]bool
	whole bool // all names are known
}

func attributeTypes(r *reader) *attributes {
	a := &attributes{types: map[string]string{}, used: map[string]bool{}, whole: true}
	r.objects("attributes", func(at *reader) {
		at.require("name", "type")
		name := at.str("name")
		if _, twice := a.types[name]; twice && name != "" {
			at.reject("name", "%q is declared twice", name)
		}
		a.whole = a.whole && name != ""
		a.types[name] = at.oneOf("type", "S", "N", "B")
	})
	a.whole = a.whole && len(a.types) > 0
	return a
}

// of returns the type of the attribute that a key names.
func (a *attributes) of(r *reader, key string) string {
	name := r.str(key)
	a.used[name] = true
	t, ok := a.types[name]
	if name != "" && !ok && a.whole {
		r.reject(key, "names the attribute %q, which is not declared in attributes", name)
	}
	return t
}

// unused rejects attributes that are no key: DynamoDB does not take them.
func (a *attributes) unused(r *reader) {
	var names []string
	for name := range a.types {
		if !a.used[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 && a.whole {
		slices.Sort(names)
		r.reject("attributes", "declares %s, which is no key of the table or an index", strings.Join(names, ", "))
	}
}
