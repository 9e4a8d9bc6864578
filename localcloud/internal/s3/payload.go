package s3

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	// unsignedChunks is the hash of a body in chunks that are not signed, with
	// headers after them:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
	unsignedChunks = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streaming      = "STREAMING-"
	awsChunked     = "aws-chunked"
)

func tooLarge(size, limit int64) *Error {
	return refuse(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size").
		with("ProposedSize", strconv.FormatInt(size, 10)).with("MaxSizeAllowed", strconv.FormatInt(limit, 10))
}

func incompleteBody() *Error {
	return refuse(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

// readBody reads the request, with its chunks as they are.
func (x *exchange) readBody() ([]byte, error) {
	size, limit := x.r.ContentLength, x.s.opts.MaxObject
	if x.r.Header.Get("X-Amz-Decoded-Content-Length") != "" {
		// What the chunks add is little: an SDK makes them of 64 KiB and more.
		limit += limit/64 + 64<<10
	}
	switch {
	case size > limit:
		return nil, tooLarge(size, x.s.opts.MaxObject)
	case size < 0:
		return nil, unsupportedHeader("Transfer-Encoding", "chunked")
	case x.r.Method == http.MethodPut && size == 0 && x.r.Header.Get("Content-Length") == "":
		return nil, refuse(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	body, err := io.ReadAll(x.r.Body)
	if err != nil {
		return nil, incompleteBody()
	}
	return body, nil
}

// content is the payload of a put, with the headers that followed it.
func (x *exchange) content(body []byte) (data []byte, trailer http.Header, err error) {
	hash := x.r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case hash == unsignedChunks:
	case strings.HasPrefix(hash, streaming):
		return nil, nil, notImplemented("the payload " + hash + ", which signs each chunk")
	case hasToken(strings.Join(x.r.Header.Values("Content-Encoding"), ","), awsChunked):
		return nil, nil, notImplemented("the content encoding aws-chunked with the payload " + strconv.Quote(hash))
	default:
		return body, nil, nil
	}
	size, err := strconv.ParseInt(x.r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil {
		return nil, nil, refuse(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if size > x.s.opts.MaxObject {
		return nil, nil, tooLarge(size, x.s.opts.MaxObject)
	}
	data, trailer, err = unchunk(body)
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) != size {
		return nil, nil, incompleteBody()
	}
	for name := range strings.SplitSeq(x.r.Header.Get("X-Amz-Trailer"), ",") {
		if name = strings.TrimSpace(name); name != "" && trailer.Get(name) == "" {
			return nil, nil, malformedTrailer()
		}
	}
	return data, trailer, nil
}

func malformedTrailer() *Error {
	return refuse(http.StatusBadRequest, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}

// unchunk takes a body in chunks apart: each is its length in hexadecimal digits,
// a line end, the data and a line end; the last one is empty, and lines of
// headers follow it.
func unchunk(body []byte) (data []byte, trailer http.Header, err error) {
	data = make([]byte, 0, len(body))
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(digits), 16, 62)
		if !ok || err != nil {
			return nil, nil, incompleteBody()
		}
		if size == 0 {
			trailer, err := readTrailer(rest)
			return data, trailer, err
		}
		if uint64(len(rest)) < size+2 || string(rest[size:size+2]) != "\r\n" {
			return nil, nil, incompleteBody()
		}
		data, body = append(data, rest[:size]...), rest[size+2:]
	}
}

func readTrailer(text []byte) (http.Header, error) {
	trailer := http.Header{}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || trailer.Get(name) != "" {
			return nil, malformedTrailer()
		}
		trailer.Set(name, strings.TrimSpace(value))
	}
	return trailer, nil
}

// hasToken reports whether a list in a header has the token.
func hasToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// withoutToken is the list without the token.
func withoutToken(list, token string) string {
	var kept []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, token) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}
