package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
)

const checksumPrefix = "X-Amz-Checksum-"

// checksum is one of an object's content, of the algorithm (such as CRC32) in
// base64.
type checksum struct{ algorithm, value string }

func (c checksum) header() string { return checksumPrefix + c.algorithm }

// newHash returns the hash of an algorithm, nil for one that is not known here.
func newHash(algorithm string) hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "CRC64NVME":
		// The polynomial of NVM Express, its bits reversed.
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	}
	return nil
}

func sumOf(algorithm string, data []byte) checksum {
	h := newHash(algorithm)
	h.Write(data)
	return checksum{strings.ToUpper(algorithm), base64.StdEncoding.EncodeToString(h.Sum(nil))}
}

// declared is the checksum that a request gives of its content, by header or
// after it; false for none. See
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
//
// A checksum in a presigned query is not looked at, as on AWS: it was made
// before there was a content. See https://github.com/localstack/localstack/issues/12169
func declared(header, trailer http.Header) (sum checksum, ok bool, err error) {
	for _, from := range []http.Header{header, trailer} {
		for name, values := range from {
			algorithm, isSum := strings.CutPrefix(name, checksumPrefix)
			if !isSum || algorithm == "Mode" || algorithm == "Algorithm" || algorithm == "Type" {
				continue
			}
			if ok || len(values) > 1 {
				return checksum{}, false, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
			}
			h := newHash(algorithm)
			if h == nil {
				return checksum{}, false, notImplemented("the checksum " + strings.ToLower(name))
			}
			if raw, err := base64.StdEncoding.DecodeString(values[0]); err != nil || len(raw) != h.Size() {
				return checksum{}, false, invalidRequest("Value for %s header is invalid.", strings.ToLower(name))
			}
			sum, ok = checksum{strings.ToUpper(algorithm), values[0]}, true
		}
	}
	if asked := header.Get("X-Amz-Sdk-Checksum-Algorithm"); asked != "" {
		if !ok {
			return checksum{}, false, invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		if !strings.EqualFold(asked, sum.algorithm) {
			return checksum{}, false, invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
		}
	}
	return sum, ok, nil
}

// verify checks the content against what the request says of it, and returns
// the checksum that is kept. S3 makes one itself when it gets none.
func verify(header, trailer http.Header, data []byte) (checksum, error) {
	if text := header.Get("Content-Md5"); text != "" {
		want, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(want) != md5.Size {
			return checksum{}, refuse(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid.").with("Content-MD5", text)
		}
		if got := md5.Sum(data); !bytes.Equal(got[:], want) {
			return checksum{}, refuse(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.").
				with("ExpectedDigest", text).with("CalculatedDigest", base64.StdEncoding.EncodeToString(got[:]))
		}
	}
	want, ok, err := declared(header, trailer)
	if err != nil {
		return checksum{}, err
	}
	if !ok {
		return sumOf("CRC64NVME", data), nil
	}
	if got := sumOf(want.algorithm, data); got != want {
		return checksum{}, refuse(http.StatusBadRequest, "BadDigest", "The %s you specified did not match the calculated checksum.", want.algorithm)
	}
	return want, nil
}
