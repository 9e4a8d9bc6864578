package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/streamer-go/streamer/internal/contract"
)

// event is any payload of the four functions.
type event struct {
	Sweep   string            `json:"streamer"`
	Records []json.RawMessage `json:"Records"`
	Key     string            `json:"key"`
	Context struct {
		EventType    string `json:"eventType"`
		ConnectionID string `json:"connectionId"`
	} `json:"requestContext"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// receive lets what happens to events happen to this one. It returns what is
// left of it, nil for nothing, and what it is about.
func (w *world) receive(i *instance, payload []byte) (left []byte, name string, f fault) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		w.violate("", "event of %s is not readable: %v", i.role, err)
		return payload, i.role, none
	}
	switch {
	case i.role == string(contract.RoleConnect):
		return payload, w.introduce(&e), w.eventFate("connect "+w.connection(e.Context.ConnectionID)+" "+e.Context.EventType, stuck)
	case i.role == string(contract.RoleRouter):
		var m struct{ ID, Action string }
		_ = json.Unmarshal([]byte(e.Body), &m)
		name = fmt.Sprintf("message %s %s of %s", m.Action, m.ID, w.connection(e.Context.ConnectionID))
		return payload, name, w.eventFate(name, stuck)
	case len(e.Records) > 0:
		return w.receiveRecords(i, e.Records)
	case e.Sweep != "":
		name = "sweep"
	default:
		request, detail := w.readHint(payload)
		name = "hint " + request + detail
	}
	f = w.eventFate(i.role+" "+name, eventFaults...)
	if f == none || f == stuck {
		return payload, name, f
	}
	w.story.tell("lambda", requestOf(name), "the event for the %s is %s: %s", i.role, f, name)
	if f != dropped {
		w.again(i.role, name, payload)
	}
	if f != doubled {
		return nil, name, f
	}
	return payload, name, f
}

// receiveRecords does the same for each record of a stream or queue.
func (w *world) receiveRecords(i *instance, records []json.RawMessage) ([]byte, string, fault) {
	var kept []json.RawMessage
	var names []string
	for _, raw := range records {
		name := w.recordName(raw)
		f := w.eventFate("record "+name, dropped, doubled, held)
		if f != none {
			w.story.tell("lambda", requestOf(name), "%s: %s", name, f)
		}
		if f == held || f == doubled {
			w.again(i.role, "record "+name, []byte(`{"Records":[`+string(raw)+`]}`))
		}
		if f == none || f == doubled {
			kept = append(kept, raw)
			names = append(names, name)
		}
	}
	if len(kept) == 0 {
		return nil, "", none
	}
	name := strings.Join(names, ", ")
	return append(append([]byte(`{"Records":[`), bytes.Join(raws(kept), []byte(","))...), `]}`...), name, w.eventFate("batch "+name, stuck)
}

func raws(in []json.RawMessage) [][]byte {
	out := make([][]byte, len(in))
	for i, r := range in {
		out[i] = r
	}
	return out
}

func (w *world) recordName(raw json.RawMessage) string {
	var r struct {
		Source string `json:"eventSource"`
		Body   string `json:"body"`
		Change struct {
			New map[string]struct{ S, N string } `json:"NewImage"`
		} `json:"dynamodb"`
	}
	_ = json.Unmarshal(raw, &r)
	if r.Source == "aws:sqs" {
		request, detail := w.readHint([]byte(r.Body))
		return "message " + request + detail
	}
	n := r.Change.New
	return fmt.Sprintf("change %s @%s offer %s", label(n["pk"].S), n["epoch"].N, n["offers"].N)
}

// requestOf is the label in the name of an event, which is its second word.
func requestOf(name string) string {
	for part := range strings.FieldsSeq(name) {
		if strings.Contains(part, "/") {
			return part
		}
	}
	return ""
}

// eventFate draws for the n-th event of that name.
func (w *world) eventFate(name string, among ...fault) fault {
	return w.fate(w.ordinal("event "+name), func(fault) bool { return true }, among)
}

// again sends an event to the role's function once more, after seconds, minutes
// or hours. What has not come by the end of the run comes then.
func (w *world) again(role, name string, payload []byte) {
	name = w.ordinal("again " + name)
	longest := one(w.dice, "how late "+name, 2*time.Second, time.Minute, 20*time.Minute, 5*time.Hour)
	w.later(w.dice.between("late event "+name, time.Millisecond, longest), func() {
		w.mu.Lock()
		function := w.names[role]
		w.mu.Unlock()
		_, err := w.lambda.Invoke(context.Background(), &lambda.InvokeInput{
			FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: payload,
		})
		if err != nil {
			w.violate("", "deliver %s again: %v", name, err)
		}
	})
}

// introduce learns which connection of the plan an id belongs to.
func (w *world) introduce(e *event) (name string) {
	for k, v := range e.Headers {
		if strings.EqualFold(k, connectionHeader) {
			w.mu.Lock()
			w.conns[e.Context.ConnectionID] = v
			w.mu.Unlock()
		}
	}
	return strings.ToLower(e.Context.EventType) + " " + w.connection(e.Context.ConnectionID)
}

// connection is the name of a connection in stories.
func (w *world) connection(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name := w.conns[id]; name != "" {
		return name
	}
	return "unknown-connection"
}
