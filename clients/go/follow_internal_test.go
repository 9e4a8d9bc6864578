package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/runtime/wire"
)

func lost() *Conn { return &Conn{ended: fmt.Errorf("%w: by the test", ErrClosed)} }

// A request that was listed may be taken back before it is moved: its refusal
// came, and its caller is going to send it again.
func TestMoveLeavesWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	k := newFollow("r")
	k.body, k.conn = []byte("{}"), &Conn{}
	s := &Session{follows: map[string]*follow{k.id: k}}
	next := &Conn{}
	listed := s.open(isNot(next))
	k.offer(wire.Frame{Type: wire.TypeError, RequestID: k.id, Code: wire.CodeUnavailable, SameID: true})
	if len(listed) != 1 || !k.reopen() {
		t.Fatalf("%d requests listed, or not taken back", len(listed))
	}
	s.move(next, listed)
	if on, _, ended := k.on(); on != nil || ended {
		t.Errorf("it is on %v, ended: %t", on, ended)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		k    *follow
		want bool
	}{
		"unanswered, on no connection":         {&follow{}, false},
		"accepted, on no connection":           {&follow{accepted: true}, false},
		"unanswered, on one that may answer":   {&follow{conn: &Conn{}}, false},
		"unanswered, on one that has ended":    {&follow{conn: lost()}, true},
		"accepted, on an open connection":      {&follow{conn: &Conn{}, accepted: true}, true},
		"ended":                                {&follow{conn: lost(), accepted: true, ended: true}, false},
		"accepted, but is being moved already": {&follow{conn: lost(), accepted: true, moving: true}, false},
	} {
		if got := tt.k.claim(); got != tt.want {
			t.Errorf("%s: claimed: %t", name, got)
		}
	}
}

// What the service does not know is sent again, or is an error that says what is
// the case: ErrClosed only where a connection has ended.
func TestUnknown(t *testing.T) {
	t.Parallel()
	body := []byte("{}")
	notFound := wire.NewError(wire.CodeNotFound, "there is no request with that id")
	for name, tt := range map[string]struct {
		k        *follow
		send     bool
		is       []error
		not      error
		accepted bool // when the service was asked
		ask      bool
	}{
		"on an open connection":         {k: &follow{body: body, conn: &Conn{}}, is: []error{ErrNoAnswer}, not: ErrClosed},
		"on one that has ended":         {k: &follow{body: body, conn: lost()}, is: []error{ErrNoAnswer, ErrClosed}},
		"may be sent again":             {k: &follow{body: body, conn: lost(), resend: true}, send: true},
		"is going to be sent":           {k: &follow{body: body}},
		"is going to be sent once more": {k: &follow{body: body, resend: true}},
		"its caller has gone":           {k: &follow{body: body, conn: lost(), resend: true, ended: true}},
		"accepted":                      {k: &follow{body: body, conn: lost(), accepted: true}, is: []error{notFound}, not: ErrNoAnswer, accepted: true},
		"accepted meanwhile":            {k: &follow{body: body, conn: lost(), accepted: true}, ask: true},
		"accepted meanwhile, resent":    {k: &follow{body: body, conn: lost(), accepted: true, resend: true}, ask: true},
		"sent by another":               {k: &follow{conn: &Conn{}}, is: []error{notFound}, not: ErrNoAnswer},
	} {
		if send, ask := tt.k.unknown(notFound, tt.accepted); send != tt.send || ask != tt.ask || (tt.k.err != nil) != (tt.is != nil) {
			t.Errorf("%s: to send: %t, to ask: %t, error %v", name, send, ask, tt.k.err)
		}
		for _, want := range tt.is {
			if !errors.Is(tt.k.err, want) {
				t.Errorf("%s: %v is not %v", name, tt.k.err, want)
			}
		}
		if tt.not != nil && errors.Is(tt.k.err, tt.not) {
			t.Errorf("%s: %v is %v", name, tt.k.err, tt.not)
		}
	}
}

// Without a number of pieces a request that succeeded has none; of another it is
// not known how many.
func TestPiecesAreCutOnlyOfWhatSucceeded(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"status":"SUCCEEDED","epoch":2,"result":1}`:                                                 "acknowledgment partial:1 complete",
		`{"status":"SUCCEEDED","epoch":2,"result":1,"partials_total":2}`:                              "acknowledgment partial:3 complete",
		`{"status":"SUCCEEDED","epoch":2,"result":1,"partials_total":3}`:                              "acknowledgment complete",
		`{"status":"FAILED","epoch":2,"error":{"code":"TIMEOUT","message":"m"}}`:                      "acknowledgment error",
		`{"status":"FAILED","epoch":2,"error":{"code":"TIMEOUT","message":"m"},"partials_total":2}`:   "acknowledgment error",
		`{"status":"CANCELLED","epoch":2,"error":{"code":"CANCELLED","message":"m"}}`:                 "acknowledgment error",
		`{"status":"CANCELLED","epoch":2,"error":{"code":"CANCELLED","message":"m"},"more":true}`:     "acknowledgment",
		`{"status":"SUCCEEDED","epoch":2,"more":true,"partials":{"epoch":1,"first":4,"items":["x"]}}`: "acknowledgment partial:4",
	} {
		k := newFollow("r")
		k.epoch, k.have = 1, 3
		var e entry
		if err := json.Unmarshal([]byte(answer), &e); err != nil {
			t.Fatal(err)
		}
		if _, err := (&Session{}).apply(t.Context(), nil, wire.ActionSync, asked{follow: k}, e); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		var told []string
		for _, f := range k.frames {
			line := f.Type
			if f.Type == wire.TypePartial {
				line += fmt.Sprintf(":%d", f.First)
			}
			told = append(told, line)
		}
		if got := strings.Join(told, " "); got != want {
			t.Errorf("%s: told was %s, want %s", answer, got, want)
		}
	}
}
