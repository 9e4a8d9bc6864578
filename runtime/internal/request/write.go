package request

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	c "github.com/streamer-go/streamer/internal/contract"
)

// Attrs is an item, or the parameters of a write: string, int64, bool, []byte
// or map[string]any by name.
type Attrs = map[string]any

// Write is a transition as DynamoDB is told it.
type Write struct {
	Item      Attrs // the whole item of a put; nil for an update
	Update    string
	Condition string
	Names     map[string]string
	Values    Attrs
}

// Write renders the transition of the item with that key. A missing parameter
// is an error that names it.
func (t Transition) Write(key string, p Attrs) (Write, error) {
	r := renderer{t: t, p: p, names: map[string]string{}, values: Attrs{}}
	w := Write{Condition: r.condition(), Names: r.names}
	if t.create {
		w.Item = maps.Clone(p)
		w.Item[c.AttrPK] = key
	} else {
		w.Update = r.update()
		w.Values = r.values
	}
	return w, r.err
}

type renderer struct {
	t      Transition
	p      Attrs
	names  map[string]string
	values Attrs
	err    error
}

func (r *renderer) name(attr string) string {
	n := "#" + attr
	r.names[n] = attr
	return n
}

func (r *renderer) value(v value) string {
	if v.param != "" {
		val, ok := r.p[v.param]
		if !ok && r.err == nil {
			r.err = fmt.Errorf("write %s: parameter %q is missing", r.t.Name, v.param)
		}
		r.values[":"+v.param] = val
		return ":" + v.param
	}
	n := ":" + constant(v.fixed)
	r.values[n] = v.fixed
	return n
}

// constant names a constant after its value, so that equal ones share a placeholder.
func constant(v any) string {
	switch v := v.(type) {
	case int64:
		if v < 0 {
			return "minus" + strconv.FormatInt(-v, 10)
		}
		return "n" + strconv.FormatInt(v, 10)
	default:
		return strings.ToLower(fmt.Sprint(v))
	}
}

func (r *renderer) condition() string {
	parts := make([]string, 0, len(r.t.when))
	for _, ch := range r.t.when {
		switch ch.op {
		case absent:
			parts = append(parts, "attribute_not_exists("+r.name(ch.attr)+")")
		case present:
			parts = append(parts, "attribute_exists("+r.name(ch.attr)+")")
		default:
			parts = append(parts, r.name(ch.attr)+" "+string(ch.op)+" "+r.value(ch.to))
		}
	}
	return strings.Join(parts, " AND ")
}

func (r *renderer) update() string {
	sets := make([]string, 0, len(r.t.sets))
	removes := make([]string, 0, len(r.t.remove)+1)
	for _, s := range r.t.sets {
		if s.optional && r.p[s.to.param] == nil {
			if s.orNone {
				removes = append(removes, r.name(s.attr))
			}
			continue
		}
		target := r.name(s.attr)
		if s.at != "" {
			if key, ok := r.p[s.drop].(string); ok && key != r.p[s.at] {
				r.names["#drop"] = key
				removes = append(removes, target+".#drop")
			}
			key, _ := r.p[s.at].(string)
			r.names["#at"] = key
			target += ".#at"
		}
		v := r.value(s.to)
		if s.add {
			v = r.name(s.attr) + " + " + v
		}
		sets = append(sets, target+" = "+v)
	}
	for _, a := range r.t.remove {
		removes = append(removes, r.name(a))
	}
	var clauses []string
	if len(sets) > 0 {
		clauses = append(clauses, "SET "+strings.Join(sets, ", "))
	}
	if len(removes) > 0 {
		clauses = append(clauses, "REMOVE "+strings.Join(removes, ", "))
	}
	return strings.Join(clauses, " ")
}

// Apply is what the database does: it returns the item after the transition,
// or ok false and the item as it is when the condition does not hold. The
// item given is not changed; nil stands for no item.
func (t Transition) Apply(item Attrs, key string, p Attrs) (after Attrs, ok bool) {
	for _, ch := range t.when {
		if !ch.holds(item, p) {
			return item, false
		}
	}
	if t.create {
		after = maps.Clone(p)
		after[c.AttrPK] = key
		return after, true
	}
	after = maps.Clone(item)
	if after == nil { // an update of an absent item makes one, as DynamoDB does
		after = Attrs{c.AttrPK: key}
	}
	for _, s := range t.sets {
		v := s.to.of(p)
		switch {
		case s.optional && v == nil:
			if s.orNone {
				delete(after, s.attr)
			}
			continue
		case s.at != "":
			at, _ := p[s.at].(string)
			inner, _ := item[s.attr].(Attrs)
			if inner = maps.Clone(inner); inner == nil {
				inner = Attrs{}
			}
			if drop, ok := p[s.drop].(string); ok {
				delete(inner, drop)
			}
			inner[at] = v
			v = inner
		case s.add:
			was, _ := item[s.attr].(int64)
			by, _ := v.(int64)
			v = was + by
		}
		after[s.attr] = v
	}
	for _, a := range t.remove {
		delete(after, a)
	}
	return after, true
}

func (v value) of(p Attrs) any {
	if v.param != "" {
		return p[v.param]
	}
	return v.fixed
}

func (ch check) holds(item, p Attrs) bool {
	got, there := item[ch.attr]
	switch ch.op {
	case present:
		return there
	case absent:
		return !there
	case less:
		a, ok1 := got.(int64)
		b, ok2 := ch.to.of(p).(int64)
		return ok1 && ok2 && a < b
	default:
		return there && got == ch.to.of(p)
	}
}

// Document renders the table as Markdown.
func Document() string {
	var b strings.Builder
	b.WriteString("| event (who) | condition | writes | then |\n|---|---|---|---|\n")
	for _, t := range Table() {
		fmt.Fprintf(&b, "| %s (%s) | %s | %s | %s |\n", t.Name, t.Who, t.conditionText(), t.writesText(), t.Then)
	}
	return b.String()
}

func (t Transition) conditionText() string {
	parts := make([]string, 0, len(t.when))
	for _, ch := range t.when {
		switch ch.op {
		case absent, present:
			parts = append(parts, ch.attr+" "+string(ch.op))
		default:
			parts = append(parts, ch.attr+" "+string(ch.op)+" "+ch.to.text())
		}
	}
	return "`" + strings.Join(parts, "` and `") + "`"
}

func (t Transition) writesText() string {
	if t.create {
		return "the item"
	}
	parts := make([]string, 0, len(t.sets)+1)
	for _, s := range t.sets {
		text := s.attr + " = " + s.to.text()
		if s.add {
			text = s.attr + " + " + s.to.text()
		}
		switch {
		case s.orNone:
			text += " or none"
		case s.optional:
			text += "?"
		}
		parts = append(parts, text)
	}
	var clauses []string
	if len(parts) > 0 {
		clauses = append(clauses, "`"+strings.Join(parts, "`, `")+"`")
	}
	if len(t.remove) > 0 {
		clauses = append(clauses, "no `"+strings.Join(t.remove, "`, `")+"`")
	}
	return strings.Join(clauses, "; ")
}

func (v value) text() string {
	if v.param != "" {
		return ":" + v.param
	}
	return fmt.Sprint(v.fixed)
}
