package streamer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// fetch answers with one part of a result that is too large for a message.
func (r *router) fetch(ctx context.Context, s session, m wire.Message) []byte {
	var in struct {
		RequestID string `json:"request_id"`
		Part      int64  `json:"part"`
	}
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	if !wire.ValidID(in.RequestID) {
		return wire.AppendError(nil, m.ID, asInvalid(Invalid("payload.request_id", "must be the id of a request")), nil)
	}
	key := keys.Request(s.Tenant, s.User, in.RequestID)
	it, found, err := r.store.Get(ctx, key)
	if err != nil {
		return r.unavailable(m.ID, key, err)
	}
	if !found || it.State != request.Succeeded {
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeNotFound, Message: "there is no result of a request with that id"}, nil)
	}
	if size, _, err := parseObject(it.Output); err != nil || size > 0 {
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeNotFound, Message: "the result is not in parts: $get names its URL"}, nil)
	}
	data, err := loadBlob(ctx, r.store, key, it.Output)
	if err != nil {
		return r.unavailable(m.ID, key, err)
	}
	parts := cutParts(data)
	if in.Part < 1 || in.Part > int64(len(parts)) {
		return wire.AppendError(nil, m.ID, asInvalid(Invalid("payload.part", "must be from 1 to "+strconv.Itoa(len(parts)))), nil)
	}
	return respond(m.ID, map[string]any{
		"request_id": in.RequestID, "part": in.Part, "parts": len(parts), "text": string(parts[in.Part-1]),
	})
}

// upload answers with where a payload can be put that is too large for a message.
func (r *router) upload(ctx context.Context, s session, m wire.Message) []byte {
	var in struct {
		Size int64 `json:"size"`
	}
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	if in.Size < 1 {
		return wire.AppendError(nil, m.ID, asInvalid(Invalid("payload.size", "must be the payload's length in bytes")), nil)
	}
	if in.Size > wire.MaxUpload {
		return wire.AppendError(nil, m.ID, &Error{
			Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("a payload of %d bytes, at most %d can be uploaded", in.Size, wire.MaxUpload),
		}, nil)
	}
	ref := rand.Text()
	url, headers, until, err := r.store.UploadURL(ctx, keys.Upload(c.UploadPrefix, s.Tenant, s.User, ref), in.Size)
	if errors.Is(err, request.ErrTooLarge) {
		return wire.AppendError(nil, m.ID, &Error{
			Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("large payloads are switched off: a message may have %d bytes", wire.MaxMessage),
		}, nil)
	}
	if err != nil {
		return r.unavailable(m.ID, "", err)
	}
	return respond(m.ID, map[string]any{
		"payload_ref": ref, "method": "PUT", "url": url, "headers": headers, "expires_at": stamp(until),
	})
}

// uploaded reads the payload that a message refers to. The name is built from
// the caller: another user's upload cannot be named.
func (r *router) uploaded(ctx context.Context, s session, m *wire.Message) *Error {
	data, err := r.store.GetObject(ctx, keys.Upload(c.UploadPrefix, s.Tenant, s.User, m.Ref), wire.MaxUpload)
	switch {
	case errors.Is(err, request.ErrNoBlob):
		return asInvalid(Invalid("payload_ref", "there is no such upload, or no longer"))
	case errors.Is(err, request.ErrTooLarge):
		return &Error{Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("at most %d bytes can be uploaded", wire.MaxUpload)}
	case err != nil:
		r.log.Error("upload is not available", "ref", m.Ref, "error", err.Error())
		return &Error{Code: wire.CodeUnavailable, Message: "the upload cannot be read", Retryable: true, SameID: true}
	}
	m.Payload = data
	return wire.ParsePayload(data)
}
