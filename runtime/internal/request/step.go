package request

import c "github.com/streamer-go/streamer/internal/contract"

// Step is a finished step of a handler, as history remembers it under
// keys.Step. Partials and Bytes are how far the log of partials was when the
// step had finished, with all that the step itself emitted.
type Step struct {
	Name            string
	Result          []byte // JSON
	Partials, Bytes int64
}

// Kept is what came of storing a step: the one that counts now, which may have
// been stored before, or, when the owner is lost, the item that refused it.
type Kept struct {
	Step Step
	Lost bool
	Item Item
}

// Fence is the condition that the request has the epoch, as every write of its
// owner has it: for a write elsewhere that is to hold only while it is owned.
func Fence(epoch int64) Write {
	t := Transition{Name: "fence", when: []check{atEpoch}}
	r := renderer{t: t, p: Attrs{PEpoch: epoch}, names: map[string]string{}, values: Attrs{}}
	return Write{Condition: r.condition(), Names: r.names, Values: r.values}
}

// What history holds of a step beside its keys.
const (
	StepResult   = "data"
	StepPartials = "partials"
	StepBytes    = "bytes"
)

// DecodeStep reads a step; its name is what follows in the range key.
func DecodeStep(name string, a Attrs) Step {
	return Step{Name: name, Result: raw(a, StepResult), Partials: num(a, StepPartials), Bytes: num(a, StepBytes)}
}

// Attrs of the step as history holds them, for the request with that key.
func (s *Step) Attrs(key, rng string, expires int64) Attrs {
	return Attrs{
		c.AttrPK: key, c.AttrSK: rng, c.AttrExpires: expires,
		StepResult: s.Result, StepPartials: s.Partials, StepBytes: s.Bytes,
	}
}
