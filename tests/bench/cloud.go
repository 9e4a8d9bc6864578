package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
)

// host is what it takes to run the router on something else than the local
// cloud: its binary and the environment of one of its instances.
type host struct {
	Binary string   `json:"binary"`
	Env    []string `json:"env"`
}

// cloud is the server that is measured: gateway, Runtime API and all else of the
// local cloud in this process, functions in processes of their own.
type cloud struct {
	system  *devhost.System
	scratch string
	// known is the last CPU time seen of each instance: one that has ended has no
	// entry in /proc any more.
	known map[int]time.Duration
}

func serveCloud(in io.Reader, out io.Writer) error {
	c := &cloud{known: map[int]time.Duration{}}
	return errors.Join(follow(in, out, c.do), c.close())
}

func (c *cloud) do(o order) (reply, error) {
	if o.Op == "start" {
		return c.start(o.Path)
	}
	if c.system == nil {
		return reply{}, errors.New("not started")
	}
	switch o.Op {
	case "usage", "collect":
		u, err := c.usage(o.Op == "collect")
		return reply{Usage: u}, err
	case "host":
		h, err := c.host()
		return reply{Host: h}, err
	case "profile":
		return reply{}, profile(o.Path, o.For)
	}
	return reply{}, fmt.Errorf("no order %q", o.Op)
}

func (c *cloud) start(dir string) (r reply, err error) {
	if c.scratch, err = os.MkdirTemp("", "streamer-bench-"); err != nil {
		return r, err
	}
	c.system, err = devhost.Start(context.Background(), devhost.Options{
		Dir: dir, Keys: filepath.Join(c.scratch, "keys"),
		Cloud: localcloud.Config{Limits: localcloud.Limits{
			Requests: -1, Connections: -1, // it is not the throttle that is measured
			InstanceIdle: time.Hour, // or CPU time of those that end would be lost
		}},
		Log: func(severity, line string) {
			if severity != "info" && severity != "debug" {
				fmt.Fprintln(os.Stderr, severity+": "+line)
			}
		},
	})
	if err != nil {
		return r, err
	}
	token, err := c.system.Keys.Token("bench", "", nil, 2*time.Hour)
	return reply{URL: c.system.URL, Token: token}, err
}

func (c *cloud) usage(collect bool) (*usage, error) {
	u, err := ownUsage(collect)
	if err != nil {
		return nil, err
	}
	router := c.system.Function(contract.RoleRouter)
	for _, i := range c.system.Cloud.Services().Functions.Instances() {
		if i.PID == 0 {
			continue
		}
		if i.Function == router {
			u.Instances++
		}
		if used, err := processCPU(i.PID); err == nil {
			c.known[i.PID] = used
		}
	}
	for _, used := range c.known {
		u.Functions += used
	}
	return u, nil
}

// host reads what a router's instance was started with.
func (c *cloud) host() (*host, error) {
	router := c.system.Function(contract.RoleRouter)
	for _, i := range c.system.Cloud.Services().Functions.Instances() {
		if i.Function != router || i.PID == 0 {
			continue
		}
		dir := "/proc/" + strconv.Itoa(i.PID)
		binary, err := os.Readlink(dir + "/exe")
		if err != nil {
			return nil, err
		}
		env, err := os.ReadFile(dir + "/environ")
		return &host{binary, strings.Split(strings.TrimRight(string(env), "\x00"), "\x00")}, err
	}
	return nil, errors.New("the router has no instance yet")
}

// profile writes a CPU profile of this process; it returns at once and ends
// after d.
func profile(path string, d time.Duration) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	time.AfterFunc(d, func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	})
	return nil
}

func (c *cloud) close() error {
	var err error
	if c.system != nil {
		err = c.system.Close()
	}
	if c.scratch != "" {
		err = errors.Join(err, os.RemoveAll(c.scratch))
	}
	return err
}
