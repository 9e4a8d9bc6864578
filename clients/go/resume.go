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

// standing is how a request stands, as $get, $resume and $sync answer alike.
type standing struct {
	Status string          `json:"status"`
	Epoch  int64           `json:"epoch"`
	Result json.RawMessage `json:"result"`
	Ref    *wire.Ref       `json:"ref"`
	Error  *wire.Error     `json:"error"`
}

// last is the last frame of a request that has ended; the zero Type is of one
// that has not. Only of one that succeeded is the log known to have that many
// pieces, or none: of others an attempt may have stored more.
func (s standing) last(id string, pieces int64) wire.Frame {
	f := wire.Frame{RequestID: id, Epoch: s.Epoch, Placed: true}
	switch e := s.Error; {
	case s.Status == wire.StatusSucceeded:
		f.Type, f.Data, f.Ref, f.Partials = wire.TypeComplete, s.Result, s.Ref, pieces
	case e != nil:
		f.Type, f.Code, f.Message, f.Details, f.Retryable = wire.TypeError, e.Code, e.Message, e.Details, e.Retryable
	}
	return f
}

// entry is one request in the answer to $resume or $sync.
type entry struct {
	standing
	RequestID string `json:"request_id"`
	Retained  string `json:"retained_until"`
	Seq       int64  `json:"seq"`
	More      bool   `json:"more"`
	Total     int64  `json:"partials_total"`
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
// $resume their frames come to that connection from now on. What the service
// cannot do just now is tried again; an error means that the connection has
// ended, or ctx.
func (s *Session) catchUp(ctx context.Context, conn *Conn, action string, all []*follow) error {
	for refused := 0; ; {
		all = slices.DeleteFunc(slices.Clone(all), func(k *follow) bool { _, _, ended := k.on(); return ended })
		batch := all[:min(maxResume, len(all))]
		if len(batch) == 0 {
			return nil
		}
		named := map[string]asked{}
		positions := make([]any, 0, len(batch))
		for _, k := range batch {
			_, accepted, _ := k.on()
			named[k.id] = asked{k, accepted}
			positions = append(positions, k.position())
		}
		f, err := s.ask(ctx, conn, Message{Action: action, Payload: map[string]any{"requests": positions}})
		if later(ctx, err) {
			if err = s.pause(ctx, min(time.Second<<refused, maxWait)); err != nil {
				return err
			}
			refused = min(refused+1, 5)
			continue
		}
		if e := (*wire.Error)(nil); errors.As(err, &e) && e.Code != wire.CodeUnauthorized {
			for _, k := range batch { // this service cannot do it at all
				k.fail(err)
			}
			all = all[len(batch):]
			continue
		}
		if err != nil {
			return err
		}
		refused, all = 0, all[len(batch):]
		var out struct {
			Requests []entry `json:"requests"`
		}
		if err := json.Unmarshal(f.Data, &out); err != nil {
			return fmt.Errorf("%s: read answer: %w", action, err)
		}
		for _, e := range out.Requests {
			k, ok := named[e.RequestID]
			if !ok {
				continue
			}
			again, err := s.apply(ctx, conn, action, k, e)
			if err != nil {
				return err
			}
			if again {
				all = append(all, k.follow)
			}
		}
	}
}

// asked is a request that the service was asked about, and whether it was known to
// be accepted then.
type asked struct {
	*follow
	accepted bool
}

// apply gives a request what it has missed, as the frames that it has not had;
// again says that there is more to be asked for.
func (s *Session) apply(ctx context.Context, conn *Conn, action string, k asked, e entry) (again bool, err error) {
	if e.Status == "" {
		switch {
		case e.Error == nil:
			return e.More, nil
		case e.Error.Code != wire.CodeNotFound: // the service could not say
			return true, s.pause(ctx, time.Second)
		}
		send, ask := k.unknown(e.Error, k.accepted)
		if send {
			k.move(conn)
			err = conn.send(ctx, k.body)
		}
		return ask, err
	}
	if action == wire.ActionResume {
		k.move(conn)
	}
	// Without a cursor at first, for the snapshot may be of an older epoch.
	ack := wire.Frame{Type: wire.TypeAcknowledgment, RequestID: k.id, Status: e.Status, RetainedUntil: e.Retained, Placed: true}
	k.told(ack, false)
	if p := e.Progress; p != nil {
		k.told(wire.Frame{
			Type: wire.TypeProgress, RequestID: k.id, Percentage: p.Percentage, Message: p.Message, Metadata: p.Metadata,
			Epoch: p.Epoch, Seq: p.Seq, Placed: true,
		}, false)
	}
	ack.Epoch, ack.Seq = e.Epoch, e.Seq
	k.told(ack, false)
	more := e.More
	if p := e.Partials; p != nil {
		more = more || p.More
		k.replay(wire.Frame{
			Type: wire.TypePartial, RequestID: k.id, First: p.First, Items: p.Items, Epoch: p.Epoch, Seq: 0, Placed: true,
		}, p.Lost)
	}
	if last := e.last(k.id, e.Total); last.Type != "" && !e.More {
		k.told(last, !more)
	}
	return more, nil
}

// fill asks for pieces of the log that a connection has lost, until none is
// missing.
func (s *Session) fill(k *follow) {
	for k.more() {
		conn, err := s.current(s.ctx)
		if err != nil {
			return // the session has ended
		}
		if s.catchUp(s.ctx, conn, wire.ActionResume, []*follow{k}) != nil {
			k.lack()
			if s.pause(s.ctx, time.Second) != nil {
				return
			}
		}
	}
}

// ask makes a call of the session itself. A connection over which nothing comes
// has ended; one over which only the answer does not is kept, for it brings the
// frames of what is at work.
func (s *Session) ask(ctx context.Context, conn *Conn, m Message) (wire.Frame, error) {
	f, err := conn.Call(ctx, m, nil)
	if errors.Is(err, ErrNoAnswer) && conn.deaf() {
		_ = conn.ws.CloseNow()
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return f, err
}

// later says whether what failed is to be asked again on the same connection.
func later(ctx context.Context, err error) bool {
	if e := (*wire.Error)(nil); errors.As(err, &e) {
		return e.Retryable
	}
	return ctx.Err() == nil && errors.Is(err, ErrNoAnswer) && !errors.Is(err, ErrClosed)
}
