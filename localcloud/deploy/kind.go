package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// kind is one row of the table: what a resource type means in the local cloud.
type kind struct {
	token string
	// naming makes the physical name when the program gives none; zero: none.
	naming naming
	lower  bool // the made name is in lower case
	// tagged kinds accept tags, which have no effect here.
	tagged bool
	// defaults are what AWS takes for inputs that are not given. They are read
	// as if given, and are outputs.
	defaults resource.PropertyMap
	// replaces are the inputs that cannot be changed in place (the provider's
	// schema marks them ForceNew).
	replaces []string
	// volatile are the computed outputs that an update may change.
	volatile []string
	// absent are outputs that are never set, each with the reason.
	absent map[string]string

	// check reads every supported input and rejects what is wrong.
	check func(*reader)
	// create makes the resource and returns its id and computed outputs.
	create func(*operation) (id string, computed resource.PropertyMap, err error)
	// update changes the resource in place; nil: every change replaces.
	update func(*operation) (computed resource.PropertyMap, err error)
	// remove deletes the resource; one that is gone already is no error.
	remove func(*operation) error
	// read tells what is there; ok is false when the resource is gone.
	read func(*operation) (computed resource.PropertyMap, ok bool)
}

// operation is one call on one resource.
type operation struct {
	ctx   context.Context
	cloud *services
	notes *ledger
	id    string
	dir   string // that relative paths of archives start from
	in    *reader
	// old are the inputs that the resource has, for update; in for the others.
	old *reader
}

// operation prepares a call with checked inputs.
func (k *kind) operation(ctx context.Context, b *backend, id, dir string, inputs resource.PropertyMap) *operation {
	in := newReader(inputs, k.defaults)
	return &operation{ctx: ctx, cloud: &b.cloud, notes: b.notes, id: id, dir: dir, in: in, old: in}
}

// naming is how pulumi-aws names resources whose name the program leaves out:
// the resource's name and seven random hex digits (Pulumi docs, "Autonaming").
type naming struct {
	property string // usually "name"
	max      int    // characters
}

const (
	nameDigits = 7
	// defaulted lists the inputs that were made here, under the key that Pulumi's
	// bridged providers use for it.
	defaulted = resource.PropertyKey("__defaults")
)

// checked completes and checks the inputs. olds are those of the existing
// resource, whose made name is kept; nil for none. The same seed makes the same
// name; an empty one makes a random name.
func (k *kind) checked(name string, olds, news resource.PropertyMap, seed []byte) (resource.PropertyMap, []fault) {
	inputs := merge(news)
	delete(inputs, defaulted)
	var faults []fault
	if p := resource.PropertyKey(k.naming.property); p != "" {
		if v, ok := inputs[p]; !ok || v.IsNull() {
			made, err := k.name(name, olds, seed)
			if err != nil {
				faults = append(faults, fault{string(p), err.Error()})
			}
			inputs[p] = resource.NewStringProperty(made)
			inputs[defaulted] = resource.NewArrayProperty([]resource.PropertyValue{resource.NewStringProperty(string(p))})
		}
	}
	r := newReader(inputs, k.defaults)
	if k.tagged {
		r.texts("tags")
	}
	k.check(r)
	r.finish()
	return inputs, append(faults, *r.problems...)
}

func (k *kind) name(name string, olds resource.PropertyMap, seed []byte) (string, error) {
	if k.named(olds) {
		if old := olds[resource.PropertyKey(k.naming.property)]; old.IsString() {
			return old.StringValue(), nil
		}
	}
	if k.lower {
		name = strings.ToLower(name)
	}
	return resource.NewUniqueName(seed, name+"-", nameDigits, k.naming.max, nil)
}

// named reports whether the name in the inputs was made here.
func (k *kind) named(inputs resource.PropertyMap) bool {
	list := inputs[defaulted]
	return k.naming.property != "" && list.IsArray() && slices.ContainsFunc(list.ArrayValue(), func(v resource.PropertyValue) bool {
		return v.IsString() && v.StringValue() == k.naming.property
	})
}

// difference is what a change of inputs comes to.
type difference struct {
	detail   *resource.ObjectDiff
	keys     []string // changed inputs
	replaces []string // those of them that cannot be changed in place
	// deleteFirst: the name is the program's, so old and new cannot exist together.
	deleteFirst bool
}

// differs compares the inputs; it returns nil when nothing changed.
func (k *kind) differs(olds, news resource.PropertyMap) *difference {
	before, after := revealAll(olds), revealAll(news)
	delete(before, defaulted)
	delete(after, defaulted)
	detail := before.Diff(after)
	if detail == nil {
		return nil
	}
	d := &difference{detail: detail}
	for _, key := range detail.ChangedKeys() {
		d.keys = append(d.keys, string(key))
		if k.update == nil || slices.Contains(k.replaces, string(key)) {
			d.replaces = append(d.replaces, string(key))
		}
	}
	slices.Sort(d.keys)
	slices.Sort(d.replaces)
	d.deleteFirst = len(d.replaces) > 0 && k.naming.property != "" && !k.named(news) &&
		before[resource.PropertyKey(k.naming.property)].DeepEquals(after[resource.PropertyKey(k.naming.property)])
	return d
}

// outputs are what the program sees: the inputs with their secrets, AWS's
// defaults, and what was computed. An input that was given stays as it is, but
// for an object, of which the program may have given a part.
func (k *kind) outputs(inputs, computed resource.PropertyMap) resource.PropertyMap {
	out := merge(k.defaults, inputs)
	for key, v := range computed {
		if given, ok := inputs[key]; !ok || given.IsObject() && !given.ContainsSecrets() {
			out[key] = v
		}
	}
	delete(out, defaulted)
	if k.tagged {
		tags, ok := inputs["tags"]
		if !ok || tags.IsNull() {
			tags = resource.NewObjectProperty(resource.PropertyMap{})
		}
		out["tagsAll"] = tags
	}
	return out
}

// computed are the outputs that are neither inputs nor defaults.
func (k *kind) computed(inputs, outputs resource.PropertyMap) resource.PropertyMap {
	out := resource.PropertyMap{}
	for key, v := range outputs {
		_, isInput := inputs[key]
		_, isDefault := k.defaults[key]
		if !isInput && !isDefault && (!k.tagged || key != "tagsAll") {
			out[key] = v
		}
	}
	return out
}

// updated are the outputs after an update: what was computed before stays where
// the update computes nothing new.
func (k *kind) updated(inputs, oldInputs, oldOutputs, computed resource.PropertyMap) resource.PropertyMap {
	kept := k.computed(oldInputs, oldOutputs)
	for key := range inputs {
		delete(kept, key)
	}
	return k.outputs(inputs, merge(kept, computed))
}

// foreseen are the outputs that a preview of an update can tell: what was
// computed stays, but for what the update may change, which is unknown.
func (k *kind) foreseen(inputs, oldInputs, oldOutputs resource.PropertyMap) resource.PropertyMap {
	computed := k.computed(oldInputs, oldOutputs)
	for _, key := range k.volatile {
		computed[resource.PropertyKey(key)] = resource.MakeComputed(resource.NewStringProperty(""))
	}
	// What the program gives is known, whatever was computed before.
	for key := range inputs {
		delete(computed, key)
	}
	return k.outputs(inputs, computed)
}

// table is the kinds by token.
type table map[string]*kind

func newTable() table {
	t := table{}
	for _, family := range [][]*kind{
		dynamodbKinds(), sqsKinds(), gatewayKinds(), lambdaKinds(), mappingKinds(), iamKinds(), cloudwatchKinds(), schedulerKinds(), s3Kinds(),
	} {
		for _, k := range family {
			t[k.token] = k
		}
	}
	return t
}

// unsupported is the refusal of a type.
func unsupported(token string) string {
	return fmt.Sprintf("the type %s is not supported by the local cloud", token)
}
