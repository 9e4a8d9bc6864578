package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of utime and stime, 1/USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// usage is what a server has used so far.
type usage struct {
	CPU       time.Duration `json:"cpu"`       // of the server's process
	Functions time.Duration `json:"functions"` // of the instances that it started
	Instances int           `json:"instances"` // of the function that is measured
	RSS       int           `json:"rss"`       // bytes, of the server's process
	Heap      int           `json:"heap"`      // bytes in use
	Stack     int           `json:"stack"`     // bytes in use
}

// ownUsage measures this process. With collect, garbage is given back first, so
// that RSS is what is held.
func ownUsage(collect bool) (*usage, error) {
	u := &usage{}
	if collect {
		debug.FreeOSMemory()
	}
	var err error
	if u.CPU, err = processCPU(os.Getpid()); err != nil {
		return nil, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Stack = int(m.HeapInuse), int(m.StackInuse)
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 {
		return nil, fmt.Errorf("read /proc/self/statm: %q", raw)
	}
	pages, err := strconv.Atoi(string(fields[1]))
	u.RSS = pages * os.Getpagesize()
	return u, err
}

// processCPU is user and system time of a process and all of its threads, those
// that have ended too.
func processCPU(pid int) (time.Duration, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(raw, []byte(") ")) // the name before may have spaces
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("read stat of process %d: %q", pid, raw)
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, err
}

// machineCPU is how long all cores together have worked, for anybody.
func machineCPU() (time.Duration, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var sum time.Duration
	for i, f := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq steal; guests are in user
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// loadAverage is the machine's run queue over the last minute.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}
