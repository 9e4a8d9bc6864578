package lambda

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// maxTail is how much of an invocation's log X-Amz-Log-Result carries.
const maxTail = 4 << 10

// tail keeps the end of an invocation's log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(append(t.text, line...), '\n')
	if over := len(t.text) - maxTail; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
}

// lines is the log of one environment. write is safe for concurrent use, the
// rest belongs to whoever runs the invocation.
type lines struct {
	service          *Service
	gen              *generation
	instance, stream string
	current          atomic.Pointer[tail]
}

// write takes a line of the instance or of the platform.
func (l *lines) write(_, line string) {
	if t := l.current.Load(); t != nil {
		t.add(line)
	}
	if !l.service.mayLog(l.gen, l.stream) {
		return
	}
	l.service.count(account.MeterLogBytes, float64(len(line)))
	if log := l.service.opts.Log; log != nil {
		log(l.gen.info.Name, l.instance, line)
	}
}

// platform writes a line of Lambda's own. Nobody may read it: then it is counted
// and not made.
func (l *lines) platform(line []byte) {
	if l.read() {
		l.write("platform", string(line))
		return
	}
	if !l.service.mayLog(l.gen, l.stream) {
		return
	}
	l.service.count(account.MeterLogBytes, float64(len(line)))
}

// read says whether anybody reads.
func (l *lines) read() bool { return l.service.opts.Log != nil || l.current.Load() != nil }

func (l *lines) begin(t *tail) { l.current.Store(t) }

// end returns what the tail holds, nil without one.
func (l *lines) end() []byte {
	t := l.current.Swap(nil)
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}

func (l *lines) start(id string) {
	var buf [96]byte
	b := append(buf[:0], "START RequestId: "...)
	b = append(b, id...)
	l.platform(append(b, " Version: $LATEST"...))
}

// report is what the REPORT line of an invocation shows.
type report struct {
	took, init time.Duration
	billed     int64 // ms
	memoryMB   int
	inst       Instance // whose memory is shown; nil when it never started
	status     string   // "" when the function answered
}

func (l *lines) report(id string, r report) {
	var buf [256]byte
	b := append(buf[:0], "END RequestId: "...)
	l.platform(append(b, id...))
	b = append(buf[:0], "REPORT RequestId: "...)
	b = append(b, id...)
	b = appendMilliseconds(append(b, "\tDuration: "...), r.took)
	b = strconv.AppendInt(append(b, " ms\tBilled Duration: "...), r.billed, 10)
	b = strconv.AppendInt(append(b, " ms\tMemory Size: "...), int64(r.memoryMB), 10)
	b = strconv.AppendInt(append(b, " MB\tMax Memory Used: "...), int64(memoryOf(r.inst)), 10)
	b = append(b, " MB\t"...)
	if r.init > 0 {
		b = append(appendMilliseconds(append(b, "Init Duration: "...), r.init), " ms\t"...)
	}
	if r.status != "" {
		b = append(append(b, "Status: "...), r.status...)
	}
	l.platform(b)
}

func appendMilliseconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 2, 64)
}

// billedMS rounds up to whole milliseconds, at least one.
func billedMS(d time.Duration) int64 {
	return max(1, int64((d+time.Millisecond-1)/time.Millisecond))
}

// memoryOf returns the most memory that an instance used, 0 when unknown.
func memoryOf(inst Instance) int {
	if m, ok := inst.(interface{ MemoryMB() int }); ok {
		return m.MemoryMB()
	}
	return 0
}
