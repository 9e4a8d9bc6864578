package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/blobs"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// Redrive repeats a dead request: a new one of the same user, action and input,
// with as many attempts and as long a deadline as the old one had, is begun at
// once. Its id is the old one's with -r1 behind it, -r2 when that was redriven
// itself, and so on. The old one leaves the list in the same write, so that it
// is redriven once, however often that is tried: then the error is ErrNotDead.
//
// The new request begins anew: without checkpoint, steps and partials, and
// watched by nobody; its owner finds it by $list. It is not counted by limits on
// open requests.
func (a *Admin) Redrive(ctx context.Context, key Key) (Key, error) {
	it, err := a.get(ctx, "redrive", key)
	if err != nil {
		return Key{}, err
	}
	if !dead(it) {
		return Key{}, fmt.Errorf("redrive %s: %w", key, a.notDead(ctx, it))
	}
	input, err := blobs.Load(ctx, a.store, it.Key, it.Input)
	if errors.Is(err, request.ErrNoBlob) {
		err = fmt.Errorf("%w: %w", ErrNoInput, err)
	}
	if err != nil {
		return Key{}, fmt.Errorf("redrive %s: %w", key, err)
	}
	for _, id := range successors(key, it.Redrives != "") {
		next := Key{key.Tenant, key.User, id}
		item, err := a.repeat(ctx, it, next, input)
		if err != nil {
			return Key{}, fmt.Errorf("redrive %s: %w", key, err)
		}
		out, err := a.store.Repeat(ctx, it.Key, next.String(), item)
		switch {
		case err != nil:
			return Key{}, fmt.Errorf("redrive %s: %w", key, err)
		case out.OK:
			return next, nil
		case !out.Found:
			return Key{}, fmt.Errorf("redrive %s: %w", key, ErrNotFound)
		case !out.Taken:
			return Key{}, fmt.Errorf("redrive %s: %w", key, a.notDead(ctx, out.Old))
		}
	}
	return Key{}, fmt.Errorf("redrive %s: every id for it is another request's", key)
}

// repeat is the item of a request like it, from now on.
func (a *Admin) repeat(ctx context.Context, it request.Item, key Key, input []byte) (request.Attrs, error) {
	now := time.Now()
	deadline := now.UnixMilli() + it.Deadline - it.CreatedAt
	retained := deadline/1000 + it.Retained - it.Deadline/1000
	by := a.nonce()
	blob, err := blobs.Put(ctx, a.store, key.String(), keys.Input(by), input, retained)
	if err != nil {
		return nil, err
	}
	accepted := request.Accepted{
		Tenant: key.Tenant, User: key.User, ID: key.ID, By: by, Action: it.Action, Input: blob, Print: it.Print,
		Max: it.Max, At: now.UnixMilli(), Deadline: deadline, Retained: retained,
	}
	item := accepted.Attrs()
	item[c.AttrRedrives] = last(it.Key)
	return item, nil
}

// last is the id in a key of ours.
func last(key string) string { _, _, id, _ := keys.Parse(key); return id }

var (
	numbered = regexp.MustCompile(`^(.+)-r([0-9]{1,9})(\.[A-Z2-7]{12})?$`)
	base32up = base32.StdEncoding.WithPadding(base32.NoPadding)
)

// successors are the ids that a repetition of the request can have, the best
// first. They are always the same: two operators want the same one, and what was
// redriven can be found. The second is for when a client has used the first.
func successors(key Key, repeats bool) []string {
	base, n := key.ID, 0
	if m := numbered.FindStringSubmatch(key.ID); repeats && m != nil {
		base = m[1]
		n, _ = strconv.Atoi(m[2]) // nine digits
	}
	suffix := "-r" + strconv.Itoa(n+1)
	sum := sha256.Sum256([]byte(key.String()))
	unique := suffix + "." + base32up.EncodeToString(sum[:])[:12]
	second := base[:min(len(base), wire.MaxID-len(unique))] + unique
	if len(base)+len(suffix) > wire.MaxID {
		return []string{second}
	}
	return []string{base + suffix, second}
}

// redrivenAs finds the request that repeats it, "" for none.
func (a *Admin) redrivenAs(ctx context.Context, it request.Item) (string, error) {
	key, err := ParseKey(it.Key)
	if err != nil {
		return "", err
	}
	for _, id := range successors(key, it.Redrives != "") {
		next, found, err := a.store.Get(ctx, Key{key.Tenant, key.User, id}.String())
		if err != nil {
			return "", err
		}
		if found && next.Redrives == key.ID {
			return id, nil
		}
	}
	return "", nil
}

// notDead says why the item is not on the list.
func (a *Admin) notDead(ctx context.Context, it request.Item) error {
	if it.State != request.Failed {
		return fmt.Errorf("%w: it is %s", ErrNotDead, strings.ToLower(string(it.State)))
	}
	id, err := a.redrivenAs(ctx, it)
	switch {
	case err != nil:
		return errors.Join(ErrNotDead, err)
	case id != "":
		return fmt.Errorf("%w: it was redriven as %s", ErrNotDead, id)
	default:
		return fmt.Errorf("%w: it was dropped", ErrNotDead)
	}
}

// Drop takes a dead request off the list. Its owner can ask for it as before,
// until it expires. Dropping it again is no error.
func (a *Admin) Drop(ctx context.Context, key Key) error {
	out, err := a.store.Do(ctx, request.Settle, key.String(), request.Attrs{})
	switch {
	case err != nil:
		return fmt.Errorf("drop %s: %w", key, err)
	case out.OK:
		return nil
	case !out.Found || out.Item.Action == "":
		return fmt.Errorf("drop %s: %w", key, ErrNotFound)
	case out.Item.State != request.Failed:
		return fmt.Errorf("drop %s: %w", key, a.notDead(ctx, out.Item))
	}
	id, err := a.redrivenAs(ctx, out.Item)
	if err == nil && id != "" {
		err = fmt.Errorf("%w: it was redriven as %s", ErrNotDead, id)
	}
	if err != nil {
		return fmt.Errorf("drop %s: %w", key, err)
	}
	return nil
}

func nonce() string { return rand.Text()[:16] }
