package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// The Append functions write one frame behind dst and return the extended slice,
// as append does. Data and metadata have to be valid JSON, as json.Marshal and
// Parse leave it: they are copied, not looked at; nil data is written as null.

// AppendResponse writes the answer to a quick request.
func AppendResponse(dst []byte, id string, data json.RawMessage) []byte {
	dst = appendHead(dst, TypeResponse, id)
	dst = appendRaw(dst, `,"data":`, data, true)
	return append(dst, '}')
}

// AppendAcknowledgment writes that a request was accepted and will end.
// Status is its state, PENDING when it is new. RetainedUntil, in seconds since
// 1970, is until when the id names this request and no other; it travels as
// RFC 3339 in UTC. The cursor is the request's: frames up to it need not come.
func AppendAcknowledgment(dst []byte, id, status string, retainedUntil int64, c Cursor) []byte {
	dst = appendHead(dst, TypeAcknowledgment, id)
	dst = append(dst, `,"status":`...)
	dst = AppendString(dst, status)
	dst = append(dst, `,"retained_until":"`...)
	dst = time.Unix(retainedUntil, 0).UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, '"')
	return append(appendCursor(dst, c), '}')
}

// AppendProgress writes a snapshot of a request's progress. Percentage is held
// within 0 and 100 and rounded to thousandths, so that no handler's arithmetic
// can spoil a frame. An empty message and nil metadata are left out.
func AppendProgress(dst []byte, id string, c Cursor, percentage float64, message string, metadata json.RawMessage) []byte {
	dst = appendHead(dst, TypeProgress, id)
	dst = append(dst, `,"percentage":`...)
	dst = strconv.AppendFloat(dst, Percentage(percentage), 'f', -1, 64)
	if message != "" {
		dst = append(dst, `,"message":`...)
		dst = AppendString(dst, message)
	}
	dst = appendRaw(dst, `,"metadata":`, metadata, false)
	return append(appendCursor(dst, c), '}')
}

// Percentage returns p as progress carries it: within 0 and 100, in thousandths;
// 0 for what is not a number.
func Percentage(p float64) float64 {
	if !(p > 0) { // also NaN
		return 0
	}
	return math.Round(min(p, 100)*1000) / 1000
}

// AppendPartial writes pieces of a result, in order. First is the number of the
// first of them; pieces are numbered from 1 without gaps, which the cursor cannot
// do, for it also counts the frames of progress. An attempt of a higher epoch
// that starts again begins with a number that others have been given before.
func AppendPartial(dst []byte, id string, c Cursor, first int64, items []json.RawMessage) []byte {
	dst = appendHead(dst, TypePartial, id)
	dst = append(dst, `,"first":`...)
	dst = strconv.AppendInt(dst, first, 10)
	dst = append(dst, `,"items":[`...)
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRaw(dst, "", item, true)
	}
	dst = append(dst, ']')
	return append(appendCursor(dst, c), '}')
}

// Result is what a request came to.
type Result struct {
	// Data is the result as JSON; nil is null. It is left out where Ref is set.
	Data json.RawMessage
	// Ref says where a result is that is too large for a message.
	Ref *Ref
	// Partials is how many pieces the finished log of partials has; 0 for none.
	Partials int64
}

// AppendComplete writes that a request succeeded, and its result.
func AppendComplete(dst []byte, id string, c Cursor, r Result) []byte {
	dst = appendHead(dst, TypeComplete, id)
	if r.Ref == nil {
		dst = appendRaw(dst, `,"data":`, r.Data, true)
	} else {
		dst = r.Ref.append(append(dst, `,"ref":`...))
	}
	if r.Partials > 0 {
		dst = append(dst, `,"partials":`...)
		dst = strconv.AppendInt(dst, r.Partials, 10)
	}
	return append(appendCursor(dst, c), '}')
}

// AppendError writes that a message was refused, or that a request failed or was
// cancelled: then c is its cursor, and the frame is the request's last. The id
// is empty when the message had none that could be used. Of the details the
// first MaxDetails are written.
func AppendError(dst []byte, id string, e *Error, c *Cursor) []byte {
	for most := min(len(e.Details), MaxDetails); ; most-- {
		frame := appendError(dst, id, e, e.Details[:most], c)
		if len(frame)-len(dst) <= MaxMessage || most == 0 {
			return frame
		}
	}
}

// appendError is AppendError with those details. Escapes can make six bytes of one:
// where so many of them do not fit into a message, fewer are told.
func appendError(dst []byte, id string, e *Error, details []Detail, c *Cursor) []byte {
	dst = append(dst, `{"type":"error"`...)
	if id != "" {
		dst = append(dst, `,"request_id":`...)
		dst = AppendString(dst, id)
	}
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, clip(string(e.Code), maxCode))
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, clip(e.Message, maxErrorText))
	for i, d := range details {
		if i == 0 {
			dst = append(dst, `,"details":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"path":`...)
		dst = AppendString(dst, clip(d.Path, maxErrorText))
		dst = append(dst, `,"reason":`...)
		dst = AppendString(dst, clip(d.Reason, maxErrorText))
		dst = append(dst, '}')
	}
	if len(details) > 0 {
		dst = append(dst, ']')
	}
	dst = append(dst, `,"retryable":`...)
	dst = strconv.AppendBool(dst, e.Retryable)
	if e.SameID {
		dst = append(dst, `,"same_id":true`...)
	}
	if c != nil {
		dst = appendCursor(dst, *c)
	}
	return append(dst, '}')
}

// maxCode and maxErrorText keep an error that quotes its input from making a
// frame that cannot be sent.
const (
	maxCode      = 64
	maxErrorText = 2048
)

// clip shortens s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// AppendEvent writes what was published to a topic.
func AppendEvent(dst []byte, topic string, data json.RawMessage) []byte {
	dst = append(dst, `{"type":"event","topic":`...)
	dst = AppendString(dst, topic)
	dst = appendRaw(dst, `,"data":`, data, true)
	return append(dst, '}')
}

func appendHead(dst []byte, kind, id string) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","request_id":`...)
	return AppendString(dst, id)
}

func appendCursor(dst []byte, c Cursor) []byte {
	dst = append(dst, `,"epoch":`...)
	dst = strconv.AppendInt(dst, c.Epoch, 10)
	dst = append(dst, `,"seq":`...)
	return strconv.AppendInt(dst, c.Seq, 10)
}

func appendRaw(dst []byte, key string, raw json.RawMessage, required bool) []byte {
	if len(raw) == 0 {
		if !required {
			return dst
		}
		raw = json.RawMessage("null")
	}
	return append(append(dst, key...), raw...)
}

const hexDigits = "0123456789abcdef"

// AppendString writes s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, for a text frame that is not valid UTF-8 ends the connection.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscaped(dst, c)
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	case c < ' ':
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, "\ufffd"...)
}
