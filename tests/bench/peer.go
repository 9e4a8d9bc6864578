package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// envRole makes a process of this binary one of the peers.
const envRole = "STREAMER_BENCH_ROLE"

// order is what the driver asks of a peer, one JSON line.
type order struct {
	Op          string        `json:"op"`
	URL         string        `json:"url,omitempty"`
	Token       string        `json:"token,omitempty"`
	Source      string        `json:"source,omitempty"` // local address of connections
	Connections int           `json:"connections,omitempty"`
	Requests    int           `json:"requests,omitempty"`
	Rate        float64       `json:"rate,omitempty"` // per second, of all connections
	For         time.Duration `json:"for,omitempty"`
	Path        string        `json:"path,omitempty"`
	Host        *host         `json:"host,omitempty"`
}

// reply is a peer's answer, one JSON line.
type reply struct {
	Error string  `json:"error,omitempty"`
	URL   string  `json:"url,omitempty"`
	Token string  `json:"token,omitempty"`
	Usage *usage  `json:"usage,omitempty"`
	Load  *load   `json:"load,omitempty"`
	Long  *long   `json:"long,omitempty"`
	Host  *host   `json:"host,omitempty"`
	Took  float64 `json:"took,omitempty"` // seconds
}

// peer is a process of this binary in another role.
type peer struct {
	role string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startPeer starts the process. Its stderr is this process's.
func startPeer(role string) (*peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &peer{role: role, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), envRole+"="+role)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, 1<<20)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return p, nil
}

// ask sends an order and waits for its reply.
func (p *peer) ask(o order) (reply, error) {
	var r reply
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return r, fmt.Errorf("%s %s: %w", p.role, o.Op, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", p.role, o.Op, err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("%s %s: %w", p.role, o.Op, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s %s: %s", p.role, o.Op, r.Error)
	}
	return r, nil
}

// close tells the process to end by the end of its orders, and waits.
func (p *peer) close() error {
	err := p.in.Close()
	kill := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if e := p.cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("end %s: %w", p.role, e))
	}
	return err
}

// follow carries out orders until there are no more.
func follow(in io.Reader, out io.Writer, do func(order) (reply, error)) error {
	orders, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read order: %w", err)
		}
		r, err := do(o)
		if err != nil {
			r = reply{Error: err.Error()}
		}
		if err := replies.Encode(r); err != nil {
			return fmt.Errorf("reply to %s: %w", o.Op, err)
		}
	}
}

// servePeer is main of a process that startPeer started.
func servePeer(role string) error {
	switch role {
	case "cloud":
		return serveCloud(os.Stdin, os.Stdout)
	case "echo":
		return serveEcho(os.Stdin, os.Stdout)
	case "bare":
		return serveBare(os.Stdin, os.Stdout)
	case "client":
		c := &client{}
		defer c.closeAll()
		return follow(os.Stdin, os.Stdout, c.do)
	}
	return fmt.Errorf("no role %q", role)
}
