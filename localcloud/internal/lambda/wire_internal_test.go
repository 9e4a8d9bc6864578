package lambda

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// still is a process that cannot be frozen.
type still struct{}

func (still) freeze() {}
func (still) thaw()   {}

// startAPI returns a Runtime API with one environment "e".
func startAPI(tb testing.TB) (*runtimeState, string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	a := newRuntimeAPI(l)
	tb.Cleanup(a.close)
	s := newRuntimeState("f", still{}, func() {})
	a.add("e", s)
	return s, l.Addr().String()
}

// exchange is a client that sends bytes as they are and reads whole answers.
type exchange struct {
	net.Conn
	r *bufio.Reader
}

func dial(tb testing.TB, address string) *exchange {
	tb.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return &exchange{c, bufio.NewReader(c)}
}

func (x *exchange) send(tb testing.TB, request string) {
	tb.Helper()
	if _, err := io.WriteString(x, request); err != nil {
		tb.Fatal(err)
	}
}

// receive returns status and body.
func (x *exchange) receive(tb testing.TB) (int, http.Header, string) {
	tb.Helper()
	res, err := http.ReadResponse(x.r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

const (
	nextRequest = "GET /env/e/2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nUser-Agent: aws-lambda-go/go1.26\r\nAccept-Encoding: gzip\r\n\r\n"
	answer      = "POST /env/e/2018-06-01/runtime/invocation/id/response HTTP/1.1\r\nHost: x\r\nUser-Agent: aws-lambda-go/go1.26\r\nTransfer-Encoding: chunked\r\n" +
		"Trailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n" +
		"5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"
)

func TestRuntimeAPIExchange(t *testing.T) {
	t.Parallel()
	s, address := startAPI(t)
	x := dial(t, address)
	x.send(t, nextRequest)
	<-s.ready
	s.deliver(&Invocation{RequestID: "id", ARN: "arn", Trace: "trace", Deadline: time.UnixMilli(1234), Payload: []byte(`{"in":1}`)})
	status, h, body := x.receive(t)
	if status != 200 || body != `{"in":1}` || h.Get("Lambda-Runtime-Aws-Request-Id") != "id" || h.Get("Lambda-Runtime-Deadline-Ms") != "1234" ||
		h.Get("Lambda-Runtime-Invoked-Function-Arn") != "arn" || h.Get("Lambda-Runtime-Trace-Id") != "trace" || h.Values("Lambda-Runtime-Client-Context") != nil || h.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", status, h, body)
	}
	x.send(t, answer)
	if status, _, body := x.receive(t); status != 202 || body != accepted {
		t.Fatalf("%d %s", status, body)
	}
	x.send(t, answer)
	if status, _, body := x.receive(t); status != 403 || !strings.Contains(body, "InvalidStateTransition") {
		t.Fatalf("second answer: %d %s", status, body)
	}
	x.send(t, nextRequest)
	if out := <-s.done; string(out.Payload) != `{"a":1}` || out.FunctionError != "" {
		t.Fatalf("%+v", out)
	}
}

func TestRuntimeAPIRefuses(t *testing.T) {
	t.Parallel()
	s, address := startAPI(t)
	x := dial(t, address)
	post := func(path, headers, body string) (int, string) {
		x.send(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body))
		status, _, got := x.receive(t)
		return status, got
	}
	const base = "/env/e/2018-06-01/runtime/"
	if status, body := post(base+"invocation/other/response", "", "{}"); status != 400 || body != "{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n" {
		t.Errorf("wrong id: %d %s", status, body)
	}
	if status, _ := post("/env/x/2018-06-01/runtime/init/error", "", "{}"); status != 404 {
		t.Errorf("unknown environment: %d", status)
	}
	if status, _ := post("/2018-06-01/runtime/init/error", "", "{}"); status != 404 {
		t.Errorf("no environment: %d", status)
	}
	if status, _ := post(base+"invocation/id/nonsense", "", "{}"); status != 404 {
		t.Errorf("unknown call: %d", status)
	}
	long := "Lambda-Runtime-Function-Xray-Error-Cause: " + strings.Repeat("x", 100<<10) + "\r\n"
	if status, _ := post(base+"init/error", long, `{"errorType":"Mine","errorMessage":"m"}`); status != 202 {
		t.Errorf("init error with a long header: %d", status)
	}
	if doc, kind := s.init(); kind != "Mine" || string(doc) != `{"errorType":"Mine","errorMessage":"m"}` {
		t.Errorf("init error %s %s", kind, doc)
	}
	if status, body := post("/env/e/2020-01-01/extension/register", "Lambda-Extension-Name: x\r\n", "{}"); status != 200 || !strings.Contains(body, `"functionName":"f"`) {
		t.Errorf("register: %d %s", status, body)
	}
	if status, _ := post("/env/e/2020-01-01/extension/register", "", "{}"); status != 400 {
		t.Errorf("register without a name: %d", status)
	}
}

// An event that was written to a connection that is gone is not lost.
func TestRuntimeAPIReconnect(t *testing.T) {
	t.Parallel()
	s, address := startAPI(t)
	first := dial(t, address)
	first.send(t, nextRequest)
	<-s.ready
	first.Close()
	for gone := false; !gone; {
		s.mu.Lock()
		gone = s.waiting == nil
		s.mu.Unlock()
	}
	s.deliver(&Invocation{RequestID: "id", Payload: []byte("{}")})
	second := dial(t, address)
	second.send(t, nextRequest)
	if status, _, body := second.receive(t); status != 200 || body != "{}" {
		t.Fatalf("%d %s", status, body)
	}
	second.send(t, nextRequest)
	if status, _, _ := second.receive(t); status != 403 {
		t.Fatalf("next before the answer: %d", status)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	_, address := startAPI(t)
	for _, request := range []string{
		"x\r\n\r\n", "GET /a SMTP\r\n\r\n", "GET /a HTTP/1.1\r\nnonsense\r\n\r\n",
		"POST /env/e/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST /env/e/a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"POST /env/e/a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "POST /env/e/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST /env/e/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "POST /env/e/a HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
	} {
		x := dial(t, address)
		x.send(t, request)
		if _, err := x.r.ReadByte(); err == nil {
			t.Errorf("%q is answered", request)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(nextRequest))
	f.Add([]byte(answer))
	f.Fuzz(func(t *testing.T, b []byte) {
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			_, _ = client.Write(b)
			client.Close()
		}()
		c := newWireConn(server)
		defer c.Close()
		req, err := c.readRequest()
		if err != nil {
			return
		}
		if body, err := c.readBody(&req, 1000); err == nil && len(body) > 1000 {
			t.Fatalf("%d bytes of a body limited to 1000", len(body))
		}
	})
}

// BenchmarkRuntimeAPI compares the loop of this package with net/http's server
// for the two exchanges of an invocation; the client is the same.
func BenchmarkRuntimeAPI(b *testing.B) {
	in := &Invocation{RequestID: "id", ARN: FunctionARN("f"), Trace: newTrace(), Deadline: time.Now(), Payload: []byte(`{"do":"echo","text":"hello"}`)}
	b.Run("own", func(b *testing.B) {
		s, address := startAPI(b)
		benchmarkAPI(b, address, func() { s.deliver(in) }, s.done)
	})
	b.Run("net/http", func(b *testing.B) {
		events, done := make(chan *Invocation), make(chan Outcome, 1)
		srv := &http.Server{Handler: netHTTP(events, done), ReadHeaderTimeout: time.Minute}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go func() { _ = srv.Serve(l) }()
		defer srv.Close()
		benchmarkAPI(b, l.Addr().String(), func() { events <- in }, done)
	})
}

func benchmarkAPI(b *testing.B, address string, deliver func(), done <-chan Outcome) {
	x := dial(b, address)
	x.send(b, nextRequest)
	var buf [4096]byte
	read := func() { // one answer is one read here
		if _, err := x.Read(buf[:]); err != nil {
			b.Fatal(err)
		}
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	for b.Loop() {
		deliver()
		read()
		x.send(b, answer)
		read()
		x.send(b, nextRequest)
		<-done
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1000/float64(b.N), "cpu-µs/op")
}

// netHTTP is the same exchange on net/http.
func netHTTP(events <-chan *Invocation, done chan<- Outcome) http.Handler {
	var last *Outcome
	mux := http.NewServeMux()
	mux.HandleFunc("GET /env/{env}/2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		if last != nil {
			done <- *last
		}
		var in *Invocation
		select {
		case in = <-events:
		case <-r.Context().Done():
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", in.RequestID)
		h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(in.Deadline.UnixMilli()))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", in.ARN)
		h.Set("Lambda-Runtime-Trace-Id", in.Trace)
		_, _ = w.Write(in.Payload)
	})
	mux.HandleFunc("POST /env/{env}/2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last = &Outcome{Payload: body}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, accepted)
	})
	return mux
}
