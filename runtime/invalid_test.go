package streamer_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// many says what is wrong with each of its names.
type many struct {
	Names []string `json:"names"`
}

func (in many) Validate() error {
	var wrong []streamer.Detail
	for i, name := range in.Names {
		if name == "" {
			wrong = append(wrong, streamer.Detail{Path: fmt.Sprintf("payload.names[%d]", i), Reason: "is empty"})
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return streamer.Invalid(wrong[0].Path, wrong[0].Reason, wrong[1:]...)
}

func TestInvalidNamesEveryProblem(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.Handle(app, "many", func(_ context.Context, in many) (int, error) { return len(in.Names), nil })
	tests := map[string][]string{
		`["a"]`:          nil,
		`["","a"]`:       {"payload.names[0]"},
		`["","a","",""]`: {"payload.names[0]", "payload.names[2]", "payload.names[3]"},
		`["","","","","","","","","","","","",""]`: {
			"payload.names[0]", "payload.names[1]", "payload.names[2]", "payload.names[3]", "payload.names[4]",
			"payload.names[5]", "payload.names[6]", "payload.names[7]", "payload.names[8]", "payload.names[9]",
		},
	}
	bubble(t, app, func(t *testing.T, s *system) {
		for names, want := range tests {
			f := s.says(alice, `{"id":"1","action":"many","payload":{"names":`+names+`}}`)
			var got []string
			for _, d := range f.Details {
				got = append(got, d.Path)
			}
			if !reflect.DeepEqual(got, want) || (f.Type == wire.TypeError) != (want != nil) || want != nil && f.Code != wire.CodeValidation {
				t.Errorf("%s: %s with %q, want %q", names, f.Code, got, want)
			}
		}
	})
}

// errOutdated is one value that every refusal returns.
var errOutdated = &streamer.Error{Code: wire.CodeValidation, Message: "the offer is over"}

// offer is valid for a while.
type offer struct {
	Until int64 `json:"until"`
}

func (in offer) Validate() error {
	if time.Now().Unix() >= in.Until {
		return errOutdated
	}
	return nil
}

// What the router accepted and the processor's own version refuses is tried
// again; the error that Validate returned belongs to the program.
func TestErrorOfValidateIsNotChanged(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.HandleTask(app, "job", func(context.Context, *streamer.Task, offer) (string, error) { return "", nil }, streamer.Retry(2, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", fmt.Sprintf(`{"until":%d}`, time.Now().Unix()+1))
		<-time.After(2 * time.Second)
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Pending || it.Failure == nil || !it.Failure.Retryable || it.Failure.Message != errOutdated.Message {
			t.Errorf("%+v, failure %+v", it, it.Failure)
		}
		if errOutdated.Retryable {
			t.Error("the processor changed the error that Validate returned")
		}
	})
}

// own returns the error that its input names, from Validate or from the handler.
type own struct {
	Early bool   `json:"early"`
	Kind  string `json:"kind"`
}

func (in own) err() error {
	switch in.Kind {
	case "foreign":
		return &streamer.Error{Code: "OUT_OF_STOCK", Message: "none are left", Retryable: true}
	case "none":
		return &streamer.Error{Message: "none are left"}
	case "same id":
		return &streamer.Error{Code: wire.CodeUnavailable, Message: "not now", Retryable: true, SameID: true}
	case "nil":
		return (*streamer.Error)(nil)
	default:
		return nil
	}
}

func (in own) Validate() error {
	if in.Early {
		return in.err()
	}
	return nil
}

// Clients know the codes of the wire alone, and send a message again when same_id
// says so: neither is a handler's to invent.
func TestErrorsOfProgramsOnTheWire(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.Handle(app, "do", func(_ context.Context, in own) (string, error) { return "done", in.err() })
	streamer.HandleTask(app, "job", func(_ context.Context, _ *streamer.Task, in own) (string, error) { return "done", in.err() }, streamer.Retry(1, linear))
	for _, tc := range []struct {
		kind        string
		early, late wire.Code
	}{
		{"foreign", wire.CodeValidation, wire.CodeInternal},
		{"none", wire.CodeValidation, wire.CodeInternal},
		{"same id", wire.CodeUnavailable, wire.CodeUnavailable},
		{"nil", "", wire.CodeInternal},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			t.Parallel()
			bubble(t, app, func(t *testing.T, s *system) {
				early, late := fmt.Sprintf(`{"early":true,"kind":%q}`, tc.kind), fmt.Sprintf(`{"kind":%q}`, tc.kind)
				if tc.early != "" {
					f := s.says(alice, `{"id":"q1","action":"do","payload":`+early+`}`)
					if f.Code != tc.early || f.SameID || !strings.Contains(f.Message, "no") {
						t.Errorf("from Validate: %+v", f)
					}
				}
				if f := s.says(alice, `{"id":"q2","action":"do","payload":`+late+`}`); f.Code != tc.late || f.SameID {
					t.Errorf("from a quick handler: %+v", f)
				}
				s.mustRun(s.accept("r1", "job", late), 0)
				if f := s.last("c1"); f.Code != tc.late || f.SameID {
					t.Errorf("from a long handler: %+v", f)
				}
			})
		})
	}
}

// A nil *Error says that nothing is wrong, where Validate returns it.
func TestNilErrorOfValidate(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.Handle(app, "do", func(context.Context, nothing) (string, error) { return "done", nil })
	bubble(t, app, func(t *testing.T, s *system) {
		if f := s.says(alice, `{"id":"q","action":"do","payload":{}}`); f.Type != wire.TypeResponse {
			t.Errorf("%+v", f)
		}
	})
}

type nothing struct{}

func (nothing) Validate() error { var e *streamer.Error; return e }
