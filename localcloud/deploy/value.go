package deploy

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// reveal takes off the marks of secrets and outputs around a value.
func reveal(v resource.PropertyValue) resource.PropertyValue {
	for {
		switch {
		case v.IsSecret():
			v = v.SecretValue().Element
		case v.IsOutput() && v.OutputValue().Known:
			v = v.OutputValue().Element
		default:
			return v
		}
	}
}

// unknown reports whether the value itself, not something within it, is not
// known before the deployment.
func unknown(v resource.PropertyValue) bool {
	return v.IsComputed() || v.IsOutput() && !v.OutputValue().Known
}

// revealAll takes off all marks of secrets, however deep.
func revealAll(m resource.PropertyMap) resource.PropertyMap {
	out := make(resource.PropertyMap, len(m))
	for k, v := range m {
		out[k] = revealDeep(v)
	}
	return out
}

func revealDeep(v resource.PropertyValue) resource.PropertyValue {
	v = reveal(v)
	switch {
	case v.IsObject():
		return resource.NewObjectProperty(revealAll(v.ObjectValue()))
	case v.IsArray():
		list := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			list[i] = revealDeep(e)
		}
		return resource.NewArrayProperty(list)
	}
	return v
}

// plain is the value as JSON has it. What is unknown is nil, a resource is its
// id, archives and assets are their hash.
func plain(v resource.PropertyValue) any {
	v = reveal(v)
	switch {
	case unknown(v), v.IsNull():
		return nil
	case v.IsArray():
		out := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			out[i] = plain(e)
		}
		return out
	case v.IsObject():
		out := map[string]any{}
		for k, e := range v.ObjectValue() {
			out[string(k)] = plain(e)
		}
		return out
	case v.IsResourceReference():
		return plain(v.ResourceReferenceValue().ID)
	case v.IsArchive():
		return v.ArchiveValue().Hash
	case v.IsAsset():
		return v.AssetValue().Hash
	}
	return v.V
}

// redact takes the texts of secrets out of a message about the properties.
func redact(m resource.PropertyMap, message string) string {
	for _, text := range secretTexts(resource.NewObjectProperty(m), false, nil) {
		message = strings.ReplaceAll(message, text, "[secret]")
	}
	return message
}

// secretTexts appends the texts within secrets. Those of one or two characters
// are left out: they tell nothing, and are parts of ordinary words.
func secretTexts(v resource.PropertyValue, secret bool, texts []string) []string {
	const shortest = 3
	if v.IsSecret() || v.IsOutput() && v.OutputValue().Secret {
		secret = true
	}
	v = reveal(v)
	switch {
	case v.IsString() && secret && len(v.StringValue()) >= shortest:
		texts = append(texts, v.StringValue())
	case v.IsArray():
		for _, e := range v.ArrayValue() {
			texts = secretTexts(e, secret, texts)
		}
	case v.IsObject():
		for _, e := range v.ObjectValue() {
			texts = secretTexts(e, secret, texts)
		}
	}
	return texts
}

// without returns the map without one property.
func without(m resource.PropertyMap, key string) resource.PropertyMap {
	out := merge(m)
	delete(out, resource.PropertyKey(key))
	return out
}

// object makes properties of Go values.
func object(m map[string]any) resource.PropertyMap { return resource.NewPropertyMapFromMap(m) }

// merge returns the maps laid over each other, the last on top.
func merge(maps ...resource.PropertyMap) resource.PropertyMap {
	out := resource.PropertyMap{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}
