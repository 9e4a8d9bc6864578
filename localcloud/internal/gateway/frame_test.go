package gateway_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// fragments writes a message as frames of the given sizes; the library adds
// an empty last one.
func fragments(ws *websocket.Conn, kind websocket.MessageType, sizes ...int) {
	w, err := ws.Writer(context.Background(), kind)
	if err != nil {
		return
	}
	for _, n := range sizes {
		if _, err := w.Write([]byte(strings.Repeat("x", n))); err != nil {
			return // closed by the gateway; the test looks at the close frame
		}
	}
	_ = w.Close()
}

func TestInboundLimits(t *testing.T) {
	const kb = 1 << 10
	for name, tc := range map[string]struct {
		kind  websocket.MessageType
		sizes []int
		want  websocket.StatusCode // 0 for an echo
	}{
		"a frame of 32 KB":           {kind: websocket.MessageText, sizes: []int{32 * kb}},
		"a frame of 32 KB + 1":       {kind: websocket.MessageText, sizes: []int{32*kb + 1}, want: 1009},
		"second frame too big":       {kind: websocket.MessageText, sizes: []int{10, 33 * kb}, want: 1009},
		"128 KB in 32 KB frames":     {kind: websocket.MessageText, sizes: []int{32 * kb, 32 * kb, 32 * kb, 32 * kb}},
		"128 KB + 1 in small frames": {kind: websocket.MessageText, sizes: []int{32 * kb, 32 * kb, 32 * kb, 32 * kb, 1}, want: 1009},
		"binary":                     {kind: websocket.MessageBinary, sizes: []int{4}, want: 1003},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				ws := c.connect()
				go fragments(ws, tc.kind, tc.sizes...)
				if tc.want == 0 {
					total := 0
					for _, n := range tc.sizes {
						total += n
					}
					if got := hear(t, ws); len(got) != total {
						t.Fatalf("echo of %d bytes, want %d", len(got), total)
					}
					return
				}
				if closed := hearClose(t, ws); closed.Code != tc.want {
					t.Fatalf("closed with %v, want %d", closed, tc.want)
				}
				synctest.Wait()
				if n := len(c.invoked("default")); n != 0 {
					t.Errorf("the function ran %d times", n)
				}
				if got := requestContext(t, c.invoked("disconnect")[0])["disconnectStatusCode"]; got != float64(tc.want) {
					t.Errorf("DISCONNECT with %v", got)
				}
			})
		})
	}
}

func TestMessageBeforeAnOversizedFrameIsServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		raw := c.raw()
		// One write: the gateway has read the oversized frame's header before
		// it handles the first message.
		written := make(chan struct{})
		go func() {
			raw.write(frame(1, true, "good"), frame(1, true, strings.Repeat("x", 33<<10)))
			close(written)
		}()
		op, payload := byte(0), []byte(nil)
		for op != 8 { // the answer to the first message may still have come
			op, _, payload = raw.read(t)
		}
		if !strings.HasPrefix(string(payload), "\x03\xf1") { // 1009
			t.Errorf("close frame %q, want 1009", payload)
		}
		<-written
		raw.write(frame(8, true, "\x03\xf1"))
		synctest.Wait()
		calls := c.invoked("default")
		if len(calls) != 1 || event(t, calls[0])["body"] != "good" {
			t.Errorf("%d invocations, want one for the good message", len(calls))
		}
	})
}

func TestBreachesOfTheProtocol(t *testing.T) {
	for name, tc := range map[string]struct {
		frame []byte
		want  int
	}{
		"not UTF-8":        {frame(1, true, "\xff\xfe"), 1007},
		"reserved opcode":  {frame(3, true, "x"), 1002},
		"lone fragment":    {frame(0, true, "x"), 1002},
		"unmasked":         {[]byte{0x81, 1, 'x'}, 1002},
		"fragmented ping":  {frame(9, false, "x"), 1002},
		"reserved bit set": {append([]byte{0xc1}, frame(1, true, "x")[1:]...), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				raw := c.raw()
				go raw.write(tc.frame)
				op, _, payload := raw.read(t)
				if op != 8 || int(binary.BigEndian.Uint16(payload)) != tc.want {
					t.Fatalf("frame %d %q, want close %d", op, payload, tc.want)
				}
				raw.write(frame(8, true, string(payload[:2])))
				synctest.Wait()
				if got := requestContext(t, c.invoked("disconnect")[0])["disconnectStatusCode"]; got != float64(tc.want) {
					t.Errorf("DISCONNECT with %v, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestOutboundFramesAreAtMost32KB(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		raw := c.raw()
		const size = 100 << 10
		go c.post(c.connectionID(0), strings.Repeat("x", size))
		total, frames := 0, 0
		for {
			op, fin, payload := raw.read(t)
			if len(payload) > 32<<10 || (frames == 0) != (op == 1) || frames > 0 && op != 0 {
				t.Fatalf("frame %d: opcode %d, %d bytes", frames, op, len(payload))
			}
			total += len(payload)
			frames++
			if fin {
				break
			}
		}
		if total != size || frames < 4 {
			t.Errorf("%d bytes in %d frames", total, frames)
		}
	})
}

func TestPostToAClientThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		raw := c.raw()
		id := c.connectionID(0)
		const size = 64 << 10
		posted := 0
		for c.post(id, strings.Repeat("x", size)) == 200 {
			posted++
		}
		if want := 512 << 10 / size; posted != want {
			t.Errorf("%d posts of 64 KB before 429, want %d", posted, want)
		}
		for range posted { // the client wakes up
			for fin := false; !fin; {
				_, fin, _ = raw.read(t)
			}
		}
		synctest.Wait()
		if got := c.post(id, "x"); got != 200 {
			t.Errorf("POST after the client has read: %d", got)
		}
		_, _, _ = raw.read(t)
	})
}

// rawClient speaks frames by hand.
type rawClient struct {
	conn net.Conn
	r    *bufio.Reader
}

// raw connects without a WebSocket library.
func (c *cloud) raw() *rawClient {
	c.t.Helper()
	conn, err := c.net.dial(context.Background(), "", "")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	raw := &rawClient{conn: conn, r: bufio.NewReader(conn)}
	raw.write([]byte("GET /prod HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	resp, err := http.ReadResponse(raw.r, nil)
	if err != nil || resp.StatusCode != 101 {
		c.t.Fatalf("handshake: %v %v", resp, err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		c.t.Fatalf("accept key %s", got) // the example of RFC 6455, section 1.3
	}
	return raw
}

// write sends the parts at once; the other end may close meanwhile.
func (c *rawClient) write(parts ...[]byte) {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	_, _ = c.conn.Write(all)
}

func (c *rawClient) read(t *testing.T) (opcode byte, fin bool, payload []byte) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		t.Fatal(err)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, _ = io.ReadFull(c.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, _ = io.ReadFull(c.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		t.Fatal(err)
	}
	return head[0] & 0xf, head[0]&0x80 != 0, payload
}

// frame renders a client's frame, masked with zeros.
func frame(opcode byte, fin bool, payload string) []byte {
	b := []byte{opcode}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func TestHeaderSpellingOfALaterRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		conn, err := c.net.dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		raw := &rawClient{conn: conn, r: bufio.NewReader(conn)}
		raw.write([]byte("POST /prod/@connections/R1kmxc2VNjMCFIA= HTTP/1.1\r\nHost: x\r\nX-TRACE: first\r\nContent-Length: 5\r\n\r\nhello"))
		resp, err := http.ReadResponse(raw.r, nil)
		if err != nil || resp.StatusCode != http.StatusGone {
			t.Fatalf("first request: %v %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		synctest.Wait() // the server is reading the next request
		raw.write([]byte("GET /prod HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-trace: second\r\n" +
			"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
		if resp, err = http.ReadResponse(raw.r, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("handshake: %v %v", resp, err)
		}
		headers := event(t, c.invoked("connect")[0])["headers"].(map[string]any)
		if headers["x-trace"] != "second" || headers["sec-websocket-version"] != "13" || headers["X-TRACE"] != nil {
			t.Errorf("headers %v", headers)
		}
	})
}
