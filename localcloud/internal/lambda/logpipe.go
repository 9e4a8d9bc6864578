//go:build linux || darwin

package lambda

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// maxLine is the longest line that is kept in one piece: CloudWatch's limit of
// a log event.
const maxLine = 256 << 10

// logPipes are the standard output and error of a process.
type logPipes struct {
	null     *os.File
	out, err *logPipe
}

func newLogPipes(line func(stream, line string)) (*logPipes, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	p := &logPipes{null: null}
	if p.out, err = newLogPipe("stdout", line); err == nil {
		if p.err, err = newLogPipe("stderr", line); err == nil {
			return p, nil
		}
		p.out.close()
	}
	null.Close()
	return nil, err
}

// files are the descriptors of the child.
func (p *logPipes) files() [3]uintptr {
	return [3]uintptr{p.null.Fd(), p.out.write, p.err.write}
}

// started closes the child's ends and begins to read.
func (p *logPipes) started() {
	p.null.Close()
	p.out.start()
	p.err.start()
}

// drain reads what has been written by now.
func (p *logPipes) drain() {
	p.out.drain()
	p.err.drain()
}

func (p *logPipes) close() {
	p.out.close()
	p.err.close()
}

// logPipe splits what comes out of a pipe into lines. Its own goroutine reads
// whenever there is something; drain reads as well, so that the lines of an
// invocation are known when it ends.
type logPipe struct {
	stream string
	line   func(stream, line string)
	read   *os.File
	raw    syscall.RawConn
	write  uintptr // the child's end, until start
	look   func(fd uintptr)

	mu   sync.Mutex // guards reading and part: lines come one by one, in order
	part []byte
	buf  [2048]byte
}

func newLogPipe(stream string, line func(stream, line string)) (*logPipe, error) {
	var fds [2]int
	syscall.ForkLock.RLock() // no child may inherit the ends before they are marked
	err := syscall.Pipe(fds[:])
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	err = syscall.SetNonblock(fds[0], true)
	p := &logPipe{stream: stream, line: line, read: os.NewFile(uintptr(fds[0]), stream), write: uintptr(fds[1])}
	p.look = func(fd uintptr) { p.take(fd) }
	if err == nil {
		p.raw, err = p.read.SyscallConn()
	}
	if err != nil {
		p.read.Close()
		syscall.Close(fds[1])
		return nil, fmt.Errorf("pipe of %s: %w", stream, err)
	}
	return p, nil
}

func (p *logPipe) start() {
	syscall.Close(int(p.write))
	p.write = 0
	go func() {
		// Ends with the pipe: closed by the child and its children, or by close.
		_ = p.raw.Read(p.take)
	}()
}

func (p *logPipe) drain() {
	// Control, not Read: the goroutine holds the right to read while it waits.
	_ = p.raw.Control(p.look)
}

func (p *logPipe) close() {
	if p.write != 0 {
		syscall.Close(int(p.write))
		p.write = 0
	}
	p.read.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.part) > 0 {
		p.line(p.stream, string(p.part))
		p.part = nil
	}
}

// take reads until there is nothing more; it returns true at the end of the pipe.
func (p *logPipe) take(fd uintptr) (end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		n, err := syscall.Read(int(fd), p.buf[:])
		if n > 0 {
			p.split(p.buf[:n])
			continue
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		return !errors.Is(err, syscall.EAGAIN)
	}
}

func (p *logPipe) split(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.part = append(p.part, b...)
			if len(p.part) >= maxLine {
				p.line(p.stream, string(p.part))
				p.part = p.part[:0]
			}
			return
		}
		if len(p.part) > 0 {
			p.part = append(p.part, b[:i]...)
			p.line(p.stream, string(p.part))
			p.part = p.part[:0]
		} else {
			p.line(p.stream, string(b[:i]))
		}
		b = b[i+1:]
	}
}
