package lambda

import (
	"fmt"
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
	service            *Service
	function, instance string
	current            atomic.Pointer[tail]
}

// write takes a line of the instance or of the platform.
func (l *lines) write(_, line string) {
	if t := l.current.Load(); t != nil {
		t.add(line)
	}
	if log := l.service.opts.Log; log != nil {
		l.service.count(account.MeterLogBytes, float64(len(line)))
		log(l.function, l.instance, line)
	}
}

// platform writes a line of Lambda's own.
func (l *lines) platform(line string) { l.write("platform", line) }

// wanted says whether anybody reads: lines cost time to make.
func (l *lines) wanted() bool {
	return l.service.opts.Log != nil || l.current.Load() != nil
}

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
	if l.wanted() {
		l.platform("START RequestId: " + id + " Version: $LATEST")
	}
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
	if !l.wanted() {
		return
	}
	l.platform("END RequestId: " + id)
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %s ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		id, milliseconds(r.took), r.billed, r.memoryMB, memoryOf(r.inst))
	if r.init > 0 {
		line += "Init Duration: " + milliseconds(r.init) + " ms\t"
	}
	if r.status != "" {
		line += "Status: " + r.status
	}
	l.platform(line)
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64)
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
