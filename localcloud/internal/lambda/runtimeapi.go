package lambda

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
)

// runtimeAPI serves the Runtime API and the Extensions API to all instances on
// one listener, each under /env/ID.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex // guards the maps
	envs  map[string]*runtimeState
	conns map[*wireConn]struct{}
	done  bool
}

func newRuntimeAPI(l net.Listener) *runtimeAPI {
	a := &runtimeAPI{listener: l, envs: map[string]*runtimeState{}, conns: map[*wireConn]struct{}{}}
	a.wg.Go(a.accept)
	return a
}

func (a *runtimeAPI) accept() {
	for {
		c, err := a.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // out of descriptors, say; the next may succeed
		}
		w := newWireConn(c)
		a.mu.Lock()
		if a.done {
			a.mu.Unlock()
			c.Close()
			return
		}
		a.conns[w] = struct{}{}
		a.mu.Unlock()
		a.wg.Go(func() { a.serve(w) })
	}
}

// close ends the listener and all connections and waits for their goroutines.
func (a *runtimeAPI) close() {
	a.listener.Close()
	a.mu.Lock()
	a.done = true
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.wg.Wait()
}

func (a *runtimeAPI) add(id string, s *runtimeState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.envs[id] = s
}

func (a *runtimeAPI) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.envs, id)
}

// serve answers the requests of one connection until it closes.
func (a *runtimeAPI) serve(c *wireConn) {
	defer func() {
		a.mu.Lock()
		delete(a.conns, c)
		a.mu.Unlock()
		c.Close()
	}()
	var state *runtimeState
	var id string
	for {
		req, err := c.readRequest()
		if err != nil {
			break
		}
		env, call := splitEnv(req.path)
		if state == nil || env != id {
			a.mu.Lock()
			state, id = a.envs[env], env
			a.mu.Unlock()
		}
		if err := a.handle(c, state, &req, call); err != nil || req.closing {
			break
		}
	}
	if state != nil {
		state.gone(c)
	}
}

// splitEnv takes apart /env/ID/rest.
func splitEnv(path string) (id, call string) {
	rest, ok := strings.CutPrefix(path, "/env/")
	if !ok {
		return "", path
	}
	id, call, _ = strings.Cut(rest, "/")
	return id, call
}

const (
	invocationPath = "2018-06-01/runtime/invocation/"
	accepted       = "{\"status\":\"OK\"}\n"
)

// handle answers one request. An error ends the connection.
func (a *runtimeAPI) handle(c *wireConn, s *runtimeState, req *wireRequest, call string) error {
	body, err := c.readBody(req, maxResponse)
	tooLong := errors.Is(err, errBodyTooLong)
	if err != nil && !tooLong {
		return err
	}
	if s == nil {
		return c.reply("404 Not Found", "", wireError("UnknownEnvironment", "no such execution environment"))
	}
	switch {
	case req.method == "GET" && call == invocationPath+"next":
		return s.next(c)
	case req.method == "POST" && strings.HasPrefix(call, invocationPath):
		id, verb, _ := strings.Cut(call[len(invocationPath):], "/")
		out := Outcome{Payload: body}
		switch {
		case verb == "error" || verb == "response" && req.errorType != "":
			out.FunctionError = unhandled
		case verb != "response":
			return c.reply("404 Not Found", "", wireError("NotFound", "no such call: "+call))
		}
		if tooLong {
			out = Outcome{Payload: tooLargeDocument(), FunctionError: unhandled}
		}
		return s.respond(c, id, out, tooLong)
	case req.method == "POST" && call == "2018-06-01/runtime/init/error":
		s.initError(body, req.errorType)
		return c.reply("202 Accepted", "", accepted)
	case req.method == "POST" && call == "2020-01-01/extension/register":
		return s.register(c, req.extensionName)
	case req.method == "GET" && call == "2020-01-01/extension/event/next":
		return nil // blocks: internal extensions get no events
	}
	return c.reply("404 Not Found", "", wireError("NotFound", "no such call: "+req.method+" "+call))
}

// wireError renders an error of the Runtime API.
func wireError(kind, message string) string {
	b, _ := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{message, kind})
	return string(b) + "\n"
}
