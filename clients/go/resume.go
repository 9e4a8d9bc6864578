package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// maxResume is how many requests one $resume may name.
const maxResume = 20

// entry is how a request stands, in the answer to $resume or $sync.
type entry struct {
	RequestID string          `json:"request_id"`
	Status    string          `json:"status"`
	Retained  string          `json:"retained_until"`
	Epoch     int64           `json:"epoch"`
	Seq       int64           `json:"seq"`
	More      bool            `json:"more"`
	Result    json.RawMessage `json:"result"`
	Ref       *wire.Ref       `json:"ref"`
	Error     *wire.Error     `json:"error"`
	Total     int64           `json:"partials_total"`
	Progress  *struct {
		Percentage float64         `json:"percentage"`
		Message    string          `json:"message"`
		Metadata   json.RawMessage `json:"metadata"`
		Epoch      int64           `json:"epoch"`
		Seq        int64           `json:"seq"`
	} `json:"progress"`
	Partials *struct {
		Epoch int64             `json:"epoch"`
		First int64             `json:"first"`
		Items []json.RawMessage `json:"items"`
		More  bool              `json:"more"`
		Lost  bool              `json:"lost"`
	} `json:"partials"`
}

// catchUp asks what those requests have missed and gives it to them. With
// $resume their frames come to that connection from now on.
func (s *Session) catchUp(ctx context.Context, conn *Conn, action string, all []*follow) error {
	for len(all) > 0 {
		batch := all[:min(maxResume, len(all))]
		all = all[len(batch):]
		named := map[string]*follow{}
		positions := make([]any, 0, len(batch))
		for _, k := range batch {
			named[k.id] = k
			positions = append(positions, k.position())
		}
		f, err := s.ask(ctx, conn, Message{Action: action, Payload: map[string]any{"requests": positions}})
		if err != nil {
			return err
		}
		var out struct {
			Requests []entry `json:"requests"`
		}
		if err := json.Unmarshal(f.Data, &out); err != nil {
			return fmt.Errorf("%s: read answer: %w", action, err)
		}
		for _, e := range out.Requests {
			k := named[e.RequestID]
			if k == nil {
				continue
			}
			again, err := s.apply(ctx, conn, k, e)
			if err != nil {
				return err
			}
			if again {
				all = append(slices.Clone(all), k)
			}
		}
	}
	return nil
}

// apply gives a request what it has missed, as the frames that it has not had;
// again says that there is more to be asked for.
func (s *Session) apply(ctx context.Context, conn *Conn, k *follow, e entry) (again bool, err error) {
	if e.Status == "" {
		switch {
		case e.Error == nil:
			return e.More, nil
		case e.Error.Code != wire.CodeNotFound: // the service could not say
			return true, s.pause(ctx, time.Second)
		case k.unknown(e.Error):
			k.move(conn)
			return false, conn.send(ctx, k.body)
		}
		return false, nil
	}
	k.move(conn)
	// Without a cursor of its own, for the snapshot below may be of an older epoch.
	k.offer(wire.Frame{Type: wire.TypeAcknowledgment, RequestID: k.id, Status: e.Status, RetainedUntil: e.Retained, Placed: true})
	if p := e.Progress; p != nil {
		k.offer(wire.Frame{
			Type: wire.TypeProgress, RequestID: k.id, Percentage: p.Percentage, Message: p.Message, Metadata: p.Metadata,
			Epoch: p.Epoch, Seq: p.Seq, Placed: true,
		})
	}
	last := wire.Frame{RequestID: k.id, Epoch: e.Epoch, Placed: true}
	switch {
	case e.Status == wire.StatusSucceeded:
		last.Type, last.Data, last.Ref, last.Partials = wire.TypeComplete, e.Result, e.Ref, e.Total
	case e.Error != nil:
		last.Type, last.Code, last.Message = wire.TypeError, e.Error.Code, e.Error.Message
		last.Details, last.Retryable = e.Error.Details, e.Error.Retryable
	}
	more := e.More
	if p := e.Partials; p != nil {
		more = more || p.More
		k.replay(wire.Frame{
			Type: wire.TypePartial, RequestID: k.id, First: p.First, Items: p.Items, Epoch: p.Epoch, Seq: 0, Placed: true,
		}, p.Lost)
	}
	if last.Type != "" && !e.More {
		if k.offer(last) && !more {
			k.caughtUp() // the pieces are gone
		}
	}
	return more, nil
}

// fill asks for pieces of the log that a connection has lost.
func (s *Session) fill(k *follow) {
	conn, err := s.current(s.ctx)
	if err != nil {
		return // the session has ended
	}
	if err := s.catchUp(s.ctx, conn, wire.ActionResume, []*follow{k}); err != nil {
		_ = conn.ws.CloseNow() // what is missing is asked for on the next
	}
}

// ask makes a call of the session itself. A connection on which nobody answers
// has ended.
func (s *Session) ask(ctx context.Context, conn *Conn, m Message) (wire.Frame, error) {
	f, err := conn.Call(ctx, m, nil)
	if errors.Is(err, ErrNoAnswer) {
		_ = conn.ws.CloseNow()
	}
	return f, err
}
