package memnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/memnet"
)

// connected returns both sides of a connection.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	n := memnet.New()
	l, err := n.Listen("an API")
	if err != nil {
		t.Fatal(err)
	}
	if client, err = n.Dial(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = client.Close(), server.Close(), l.Close() })
	return client, server
}

// Two sides that write at once do not wait for each other, and what is more
// than the window arrives in order.
func TestBothWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := connected(t)
		for _, c := range []net.Conn{client, server} {
			if n, err := c.Write(make([]byte, 1000)); n != 1000 || err != nil {
				t.Fatalf("wrote %d: %v", n, err)
			}
		}
		if _, err := io.ReadFull(server, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		sent := make([]byte, 1<<20)
		for i := range sent {
			sent[i] = byte(i * i)
		}
		go func() {
			_, _ = client.Write(sent)
			_ = client.Close()
		}()
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read %d bytes: %v", len(got), err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed side: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of the own closed side: %v", err)
		}
	})
}

// A name below a listener's reaches it, as a bucket's name does its service.
func TestNamesBelow(t *testing.T) {
	t.Parallel()
	n := memnet.New()
	l, err := n.Listen("aws")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{"box.", "my.box."} {
		c, err := n.Dial(t.Context(), "tcp", name+l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	for _, name := range []string{"box.other.localcloud.local:80", "other", ""} {
		if _, err := n.Dial(t.Context(), "tcp", name); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial %q: %v", name, err)
		}
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := connected(t)
		began := time.Now()
		check := func(what string, err error, after time.Duration) {
			t.Helper()
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != after {
				t.Errorf("%s: %v after %s", what, err, time.Since(began))
			}
		}
		_ = client.SetReadDeadline(began.Add(time.Second))
		_, err := client.Read(make([]byte, 1))
		check("read", err, time.Second)
		_ = client.SetWriteDeadline(began.Add(time.Minute))
		n, err := client.Write(make([]byte, 1<<20))
		check("write", err, time.Minute)
		if n == 0 {
			t.Error("nothing was written before")
		}
		// A deadline is moved, also while a call waits, and taken back.
		_ = client.SetReadDeadline(time.Now().Add(time.Second))
		_ = client.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_ = client.SetReadDeadline(time.Now())
		}()
		_, err = client.Read(make([]byte, 1))
		check("read without deadline", err, time.Minute+time.Hour)
		_ = client.SetReadDeadline(time.Time{})
		_, _ = server.Write([]byte("x"))
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Errorf("read after the deadline was taken back: %v", err)
		}
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen("x")
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := n.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
		if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read of a connection that nobody accepted: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial: %v", err)
		}
	})
}
