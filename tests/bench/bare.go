package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bare is a host written by hand for one thing: it carries messages from
// WebSockets to router processes over the Runtime API and back. It has no routes,
// authorizers, permissions, quotas, deadlines, logs, callbacks or freezing. What
// the local cloud costs above it is the price of these.
type bare struct {
	listener net.Listener // of the Runtime API
	sockets  *socketServer
	context  string // of every event, its beginning

	mu        sync.Mutex // guards the rest
	host      *host
	idle      []*bareInstance // the most recently used last
	all       map[string]*bareInstance
	processes []*exec.Cmd
	requests  int
}

// bareInstance is a router process.
type bareInstance struct {
	ready  chan struct{} // closed at its first next
	answer chan []byte
	out    []byte // of who has the instance

	mu   sync.Mutex // guards the rest
	next net.Conn   // whose next is waiting; whoever has the instance reads it too
	kept []byte     // the answer, until next
}

// eventHead has what an event of API Gateway has up to the request's id: to read
// it is part of what the router does.
const eventHead = `{"requestContext":{"routeKey":"$default","eventType":"MESSAGE","extendedRequestId":"UVH0XHKDPHcFvTQ=",` +
	`"requestTime":"%s","requestTimeEpoch":%d,"messageId":"UVH0XdC4oAMCKJw=","messageDirection":"IN","stage":"prod","connectedAt":%d,` +
	`"identity":{"userAgent":"Go-http-client/1.1","sourceIp":"127.0.0.1"},"domainName":"127.0.0.1:40000",` +
	`"connectionId":"UVH0XdC4oAMCKJw=","apiId":"abcdefghij",` +
	`"authorizer":{"principalId":"bench","user":"bench","tenant":"","permissions":"","exp":"%d"},"requestId":"`

func serveBare(in io.Reader, out io.Writer) error {
	b := &bare{all: map[string]*bareInstance{}}
	var err error
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	if b.sockets, err = listenSockets(b.message); err != nil {
		return err
	}
	now := time.Now()
	b.context = fmt.Sprintf(eventHead, now.Format("02/Jan/2006:15:04:05 +0000"), now.UnixMilli(), now.UnixMilli(), now.Add(2*time.Hour).Unix())
	go b.accept()
	return errors.Join(follow(in, out, b.do), b.close())
}

func (b *bare) do(o order) (reply, error) {
	switch o.Op {
	case "start":
		b.mu.Lock()
		b.host = o.Host
		b.mu.Unlock()
		return reply{URL: b.sockets.url()}, nil
	case "usage", "collect":
		u, err := ownUsage(o.Op == "collect")
		if err != nil {
			return reply{}, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		u.Instances = len(b.processes)
		for _, p := range b.processes {
			used, err := processCPU(p.Process.Pid)
			if err != nil {
				return reply{}, err
			}
			u.Functions += used
		}
		return reply{Usage: u}, nil
	}
	return reply{}, fmt.Errorf("no order %q", o.Op)
}

// message carries one message to an idle instance, or to a new one.
func (b *bare) message(body []byte) ([]byte, error) {
	i, id, err := b.take()
	if err != nil {
		return nil, err
	}
	event := append([]byte(b.context), id...)
	event = append(event, `"},"isBase64Encoded":false,"body":`...)
	event = strconv.AppendQuote(event, string(body)) // the benchmark's messages are plain ASCII
	event = append(event, '}')
	w := append(i.out[:0], "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: "...)
	w = append(w, id...)
	w = append(w, "\r\nLambda-Runtime-Deadline-Ms: "...)
	w = strconv.AppendInt(w, time.Now().Add(29*time.Second).UnixMilli(), 10)
	w = append(w, "\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bare"+
		"\r\nLambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0\r\nContent-Length: "...)
	w = strconv.AppendInt(w, int64(len(event)), 10)
	w = append(append(w, "\r\n\r\n"...), event...)
	i.out = w
	if _, err := i.next.Write(w); err != nil {
		return nil, err
	}
	answer := <-i.answer
	b.mu.Lock()
	b.idle = append(b.idle, i)
	b.mu.Unlock()
	return bodyOf(answer)
}

// take returns an instance that waits for work, and a request id.
func (b *bare) take() (*bareInstance, string, error) {
	b.mu.Lock()
	b.requests++
	id := "00000000-0000-0000-0000-" + fmt.Sprintf("%012d", b.requests)
	if n := len(b.idle); n > 0 {
		i := b.idle[n-1]
		b.idle = b.idle[:n-1]
		b.mu.Unlock()
		return i, id, nil
	}
	i, err := b.launch()
	b.mu.Unlock()
	if err != nil {
		return nil, "", err
	}
	select {
	case <-i.ready:
		return i, id, nil
	case <-time.After(10 * time.Second):
		return nil, "", errors.New("the instance asks for no work")
	}
}

// launch starts a router. b.mu is held.
func (b *bare) launch() (*bareInstance, error) {
	name := strconv.Itoa(len(b.processes))
	i := &bareInstance{ready: make(chan struct{}), answer: make(chan []byte, 1)}
	b.all[name] = i
	cmd := exec.Command(b.host.Binary)
	for _, e := range b.host.Env {
		if !strings.HasPrefix(e, "AWS_LAMBDA_RUNTIME_API=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "AWS_LAMBDA_RUNTIME_API="+b.listener.Addr().String()+"/"+name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.processes = append(b.processes, cmd)
	return i, nil
}

func (b *bare) close() error {
	err := errors.Join(b.sockets.close(), b.listener.Close())
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.processes {
		_ = p.Process.Kill()
		_ = p.Wait() // killed
	}
	return err
}
