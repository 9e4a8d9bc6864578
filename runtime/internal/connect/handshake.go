package connect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/wire"
)

// bearer comes before a token in the list of subprotocols: browsers cannot set
// another header of a handshake.
const bearer = "bearer."

// handshake is the client's HTTP request as API Gateway tells it. The names of
// headers have the client's spelling.
type handshake struct {
	single  map[string]string
	multi   map[string][]string
	query   map[string]string
	queries map[string][]string
}

// header returns all values of a header, whatever its spelling.
func (hs handshake) header(name string) []string {
	var values []string
	for key, v := range hs.multi {
		if strings.EqualFold(key, name) {
			values = append(values, v...)
		}
	}
	if values != nil {
		return values
	}
	for key, v := range hs.single {
		if strings.EqualFold(key, name) {
			values = append(values, v)
		}
	}
	return values
}

// protocols returns the subprotocols that the client offers, in order.
func (hs handshake) protocols() []string {
	var out []string
	for _, line := range hs.header("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

// token finds the token and says where: the header Authorization, a subprotocol,
// the query parameter. More than one in a place is refused: which one counts
// must not depend on who reads it.
func (hs handshake) token(parameter string) (token, from string, err error) {
	places := []struct {
		name   string
		tokens []string
	}{
		{"authorization", hs.authorization()},
		{"subprotocol", hs.offered()},
		{"query", hs.parameter(parameter)},
	}
	for _, p := range places {
		switch len(p.tokens) {
		case 0:
		case 1:
			return p.tokens[0], p.name, nil
		default:
			return "", "", fmt.Errorf("more than one token in %s", p.name)
		}
	}
	return "", "", errors.New("no token")
}

func (hs handshake) authorization() (tokens []string) {
	for _, v := range hs.header("Authorization") {
		scheme, token, _ := strings.Cut(strings.TrimSpace(v), " ")
		if token = strings.TrimSpace(token); strings.EqualFold(scheme, "Bearer") && token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (hs handshake) offered() (tokens []string) {
	for _, p := range hs.protocols() {
		if token, ok := strings.CutPrefix(p, bearer); ok && token != "" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (hs handshake) parameter(name string) []string {
	if name == "" {
		return nil
	}
	if values := hs.queries[name]; len(values) > 0 {
		return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	}
	if v := hs.query[name]; v != "" {
		return []string{v}
	}
	return nil
}

// allowed checks the header Origin, which a browser sets and a page cannot
// change. There is no other protection against a foreign page: CORS does not
// apply to WebSockets.
func (h *Handler) allowed(hs handshake) (string, bool) {
	origins := hs.header("Origin")
	got := strings.Join(origins, ", ")
	if len(h.o.Origins) == 0 || len(origins) == 0 || slices.Contains(h.o.Origins, "*") {
		return got, true
	}
	origin, ok := contract.ParseOrigin(got)
	return got, ok && len(origins) == 1 && slices.ContainsFunc(h.o.Origins, func(o string) bool {
		want, valid := contract.ParseOrigin(o)
		return valid && want == origin
	})
}

// subprotocol chooses the subprotocol of the answer. A client that offers only
// others does not speak this protocol.
func (hs handshake) subprotocol() (chosen string, ok bool) {
	offered := hs.protocols()
	switch {
	case len(offered) == 0:
		return "", true
	case slices.Contains(offered, wire.Protocol):
		return wire.Protocol, true
	}
	return "", false
}

// cut bounds what a client puts into our log.
func cut(s string) string {
	if len(s) > 256 {
		return strings.ToValidUTF8(s[:256], "") + "…"
	}
	return s
}
