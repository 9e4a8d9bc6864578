package s3_test

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"testing"
)

// Whatever comes as chunks is stored as long as it says it is, or refused.
func FuzzChunks(f *testing.F) {
	for _, body := range []string{
		"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "0\r\n\r\n", "5\r\nhel", "fffffffffffffffe\r\n", "1;a=b\r\nx\r\n0\r\n:\r\n",
	} {
		f.Add([]byte(body), 5)
	}
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		s := open(t)
		r := httptest.NewRequest("PUT", "http://127.0.0.1/box/k", bytes.NewReader(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(size))
		got := handle(s, r)
		info, _ := s.Bucket("box")
		stored := got.status == 200 && info.Objects == 1 && info.Bytes == int64(size)
		refused := got.status >= 400 && got.status != 500 && info.Objects == 0
		if !stored && !refused {
			t.Errorf("status %d with %d bytes in %d objects", got.status, info.Bytes, info.Objects)
		}
	})
}
