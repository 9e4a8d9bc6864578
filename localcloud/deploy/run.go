package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// run is one execution of a program against the stack's state.
type run struct {
	*backend
	stack   *stack
	program Program
	dir     string
	dry     bool

	mu       sync.Mutex // guards everything below
	seen     map[string]bool
	changes  []Change
	same     int
	problems []Problem
	logged   []string // errors that the program logged
	outputs  resource.PropertyMap
	called   bool // the program has contacted the monitor
	ended    bool // the program has said that all went well
}

// registration is a resource as the program registers it.
type registration struct {
	urn, token, name string
	aliases          []string
	inputs           resource.PropertyMap
	needs            []string
	protect, retain  bool
	deleteFirst      bool
	ignore           []string // property paths
	replaceOn        []string
	secrets          []string // outputs to be marked as secret
	file             string
	line             int
}

// claim takes the URN for this run and finds the resource of an earlier one,
// under this URN or an alias and of the same kind; was is the URN that it had.
func (r *run) claim(k *kind, reg *registration) (old *record, was string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[reg.urn] {
		return nil, "", r.refuse(reg, fault{"", "is registered twice: the URN " + reg.urn + " must be unique"})
	}
	r.seen[reg.urn] = true
	for _, urn := range append([]string{reg.urn}, reg.aliases...) {
		if old := r.stack.get(urn); old != nil && old.kind == k && (urn == reg.urn || !r.seen[urn]) {
			r.seen[urn] = true
			return old, urn, nil
		}
	}
	return nil, "", nil
}

// refuse notes the problems and returns the error for the program. r.mu is held.
func (r *run) refuse(reg *registration, faults ...fault) error {
	var problems []Problem
	for _, f := range faults {
		problems = append(problems, Problem{
			Type: reg.token, Name: reg.name, Property: f.path, Reason: redact(reg.inputs, f.reason), File: reg.file, Line: reg.line,
		})
	}
	r.problems = append(r.problems, problems...)
	return &Error{Problems: problems}
}

func (r *run) refuseNow(reg *registration, faults ...fault) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuse(reg, faults...)
}

// register brings one resource of a kind to what the program says.
func (r *run) register(ctx context.Context, k *kind, reg *registration) (*record, error) {
	old, was, err := r.claim(k, reg)
	if err != nil {
		return nil, err
	}
	var before resource.PropertyMap
	if old != nil {
		before = old.inputs
	}
	inputs, faults := k.checked(reg.name, before, keepIgnored(reg.inputs, before, reg.ignore), nil)
	if len(faults) > 0 {
		return nil, r.refuseNow(reg, faults...)
	}
	now := &record{
		urn: reg.urn, token: reg.token, name: reg.name, kind: k, inputs: inputs, needs: reg.needs,
		protect: reg.protect, retain: reg.retain, dir: r.dir,
	}
	if old == nil {
		return now, r.create(ctx, reg, now, Change{Op: Create})
	}
	now.id, now.order = old.id, old.order
	d := k.differs(old.inputs, inputs)
	d.replaceFor(reg.replaceOn)
	switch {
	case d == nil:
		r.mu.Lock()
		r.same++
		r.mu.Unlock()
		now.outputs = secretive(remarked(old, inputs), reg.secrets)
		r.keep(now, was)
		return now, nil
	case len(d.replaces) > 0:
		return now, r.replace(ctx, reg, old, now, d)
	}
	return now, r.update(ctx, reg, old, now, was, d)
}

// keepIgnored returns the inputs with the old values of what is to be ignored.
func keepIgnored(news, before resource.PropertyMap, paths []string) resource.PropertyMap {
	if before == nil || len(paths) == 0 {
		return news
	}
	inputs := resource.NewObjectProperty(news.Copy())
	old := resource.NewObjectProperty(before)
	for _, text := range paths {
		path, err := resource.ParsePropertyPath(text)
		if err != nil {
			continue
		}
		if v, ok := path.Get(old); ok {
			path.Add(inputs, v)
		} else {
			path.Delete(inputs)
		}
	}
	return inputs.ObjectValue()
}

// replaceFor makes a change of the given properties a replacement; "*" is all.
func (d *difference) replaceFor(properties []string) {
	if d == nil {
		return
	}
	for _, key := range d.keys {
		if (slices.Contains(properties, key) || slices.Contains(properties, "*")) && !slices.Contains(d.replaces, key) {
			d.replaces = append(d.replaces, key)
		}
	}
}

func (r *run) keep(now *record, was string) {
	if !r.dry {
		r.stack.put(now, was)
	}
}

func (r *run) note(c Change, now *record) {
	c.URN, c.Type, c.Name, c.ID = now.urn, now.token, now.name, now.id
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
}

// create makes the resource; in a preview only its inputs are known.
func (r *run) create(ctx context.Context, reg *registration, now *record, c Change) error {
	if r.dry {
		now.id, now.outputs = "", secretive(now.kind.outputs(now.inputs, nil), reg.secrets)
		r.note(c, now)
		return nil
	}
	id, computed, err := now.kind.create(now.kind.operation(ctx, r.backend, "", r.dir, now.inputs))
	if err != nil {
		return r.refuseNow(reg, fault{"", err.Error()})
	}
	now.id, now.outputs = id, secretive(now.kind.outputs(now.inputs, computed), reg.secrets)
	r.keep(now, "")
	r.note(c, now)
	return nil
}

func (r *run) update(ctx context.Context, reg *registration, old, now *record, was string, d *difference) error {
	k := now.kind
	c := Change{Op: Update, Properties: d.keys}
	if r.dry {
		now.outputs = secretive(k.foreseen(now.inputs, old.inputs, old.outputs), reg.secrets)
		r.note(c, now)
		return nil
	}
	op := k.operation(ctx, r.backend, old.id, r.dir, now.inputs)
	op.old = newReader(old.inputs, k.defaults)
	computed, err := k.update(op)
	if err != nil {
		return r.refuseNow(reg, fault{"", err.Error()})
	}
	now.outputs = secretive(k.updated(now.inputs, old.inputs, old.outputs, computed), reg.secrets)
	r.keep(now, was)
	r.note(c, now)
	return nil
}

// replace makes a successor. The old resource is deleted when the program has
// ended well, or before, when both cannot exist together.
func (r *run) replace(ctx context.Context, reg *registration, old, now *record, d *difference) error {
	if old.protect {
		return r.refuseNow(reg, fault{d.replaces[0], "cannot be changed without replacing the resource, which is protected"})
	}
	k := now.kind
	now.id, now.order = "", 0
	first := d.deleteFirst || reg.deleteFirst
	if !first && k.named(now.inputs) {
		fresh, faults := k.checked(reg.name, nil, without(now.inputs, k.naming.property), nil)
		if len(faults) > 0 {
			return r.refuseNow(reg, faults...)
		}
		now.inputs = fresh
	}
	if !r.dry {
		if first {
			if err := r.remove(ctx, old); err != nil {
				return r.refuseNow(reg, fault{"", err.Error()})
			}
			r.stack.forget(old)
		} else {
			r.stack.replace(old, now.urn)
		}
	}
	return r.create(ctx, reg, now, Change{Op: Replace, Properties: d.replaces})
}

// remove deletes the resource, unless it is to be retained.
func (r *run) remove(ctx context.Context, rec *record) error {
	if rec.kind == nil || rec.retain {
		return nil
	}
	return rec.kind.remove(rec.kind.operation(ctx, r.backend, rec.id, rec.dir, rec.inputs))
}

// sweep deletes what the run has not registered. It goes on after an error, for
// what fails stays in the state and is tried again by the next run.
func (r *run) sweep(ctx context.Context) error {
	r.mu.Lock()
	keep := maps.Clone(r.seen)
	r.mu.Unlock()
	gone := r.stack.leftovers(keep)
	var faults []error
	for _, rec := range gone {
		if rec.protect && !rec.retain {
			faults = append(faults, fmt.Errorf("delete %s %q: it is protected", rec.token, rec.name))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	for _, rec := range gone {
		if !r.dry {
			if err := r.remove(ctx, rec); err != nil {
				faults = append(faults, fmt.Errorf("delete %s %q: %w", rec.token, rec.name, err))
				continue
			}
			r.stack.forget(rec)
		}
		if rec.kind != nil {
			r.note(Change{Op: Delete}, rec)
		}
	}
	return errors.Join(faults...)
}

// secretive marks the named outputs as secret.
func secretive(outputs resource.PropertyMap, names []string) resource.PropertyMap {
	for _, name := range names {
		key := resource.PropertyKey(name)
		if v, ok := outputs[key]; ok && !v.IsSecret() && !v.IsComputed() {
			outputs[key] = resource.MakeSecret(v)
		}
	}
	return outputs
}

// remarked are the outputs of a resource whose inputs have the same values,
// perhaps with other marks of secrets.
func remarked(old *record, inputs resource.PropertyMap) resource.PropertyMap {
	out := merge(old.outputs)
	for key, v := range inputs {
		if was := old.inputs[key]; key != defaulted && !was.DeepEquals(v) {
			out[key] = v
		}
	}
	return out
}
