// Package data carries the archive of flights inside the binary. README.md in
// this folder says who published them and how the archive was made.
package data

import (
	_ "embed"
	"strings"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

//go:embed flights.zip
var archive string

// Open reads the directory of the archive; rows are unpacked when they are asked
// for. Each call returns a Dataset of its own: keep the one you have.
func Open() (*flights.Dataset, error) {
	return flights.Open(strings.NewReader(archive), int64(len(archive)))
}
