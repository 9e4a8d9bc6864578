package lambda_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// BenchmarkInvoke measures a quick invocation of a real bootstrap: the wall
// time, the CPU of this process (service and Runtime API) and of the instance.
func BenchmarkInvoke(b *testing.B) {
	for _, bc := range []struct {
		name string
		opts lambda.ProcessOptions
	}{{"frozen between", lambda.ProcessOptions{}}, {"not frozen", lambda.ProcessOptions{NoFreeze: true}}} {
		b.Run(bc.name, func(b *testing.B) {
			c := newCloud(b, lambda.Options{Log: func(string, string, string) {}}, bc.opts)
			put(b, c.Service, spec(b, "f"))
			pid := call(b, c.Service, "f", `{}`).PID
			event := []byte(`{"do":"echo","text":"hello"}`)
			own, child := selfCPU(), processCPU(b, pid)
			b.ReportAllocs()
			for b.Loop() {
				res, err := c.Invoke(context.Background(), "f", event, lambda.InvokeOptions{})
				if err != nil || res.FunctionError != "" {
					b.Fatal(err, string(res.Payload))
				}
			}
			b.ReportMetric(float64((selfCPU()-own).Nanoseconds())/1000/float64(b.N), "own-cpu-µs/op")
			b.ReportMetric(float64((processCPU(b, pid)-child).Nanoseconds())/1000/float64(b.N), "instance-cpu-µs/op")
		})
	}
}

// BenchmarkColdStart measures an invocation that needs a new instance.
func BenchmarkColdStart(b *testing.B) {
	c := newCloud(b, lambda.Options{Log: func(string, string, string) {}}, lambda.ProcessOptions{})
	s := spec(b, "f")
	i := 0
	for b.Loop() {
		i++
		s.Env = map[string]string{"I": strconv.Itoa(i)}
		put(b, c.Service, s)
		call(b, c.Service, "f", `{}`)
	}
}

// BenchmarkThousandInstances starts a thousand instances at once: each has an
// invocation that ends when all are running.
func BenchmarkThousandInstances(b *testing.B) {
	const n = 1000
	for b.Loop() {
		c := newCloud(b, lambda.Options{}, lambda.ProcessOptions{})
		put(b, c.Service, spec(b, "f", func(s *lambda.FunctionSpec) { s.Timeout = 900 * time.Second }))
		start := time.Now()
		file := b.TempDir() + "/go"
		event := []byte(fmt.Sprintf(`{"do":"await","text":%q}`, file))
		done := make(chan error, n)
		for range n {
			go func() {
				res, err := c.Invoke(context.Background(), "f", event, lambda.InvokeOptions{})
				if err == nil && res.FunctionError != "" {
					err = fmt.Errorf("%s", res.Payload)
				}
				done <- err
			}()
		}
		for countLines(c.log(), "START") < n {
			time.Sleep(50 * time.Millisecond)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-until-all-run")
		b.ReportMetric(float64(runtime.NumGoroutine())/n, "goroutines/instance")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			b.Fatal(err)
		}
		for range n {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		start = time.Now()
		c.Service.Close()
		b.ReportMetric(time.Since(start).Seconds(), "s-to-stop")
	}
}

func selfCPU() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		panic(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// processCPU reads the time that a process has run, in nanoseconds precision.
func processCPU(tb testing.TB, pid int) (sum time.Duration) {
	tb.Helper()
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		tb.Skip("no /proc")
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err != nil {
			continue
		}
		n, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		sum += time.Duration(n)
	}
	return sum
}
