package localcloud_test

import (
	"testing"

	"github.com/streamer-go/streamer/localcloud"
)

// BenchmarkStart is a whole life of an empty cloud.
func BenchmarkStart(b *testing.B) {
	for name, config := range map[string]localcloud.Config{
		"processes": {},
		"in-memory": {InMemory: true, Funcs: handlers{}.start},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cloud, err := localcloud.Start(config)
				if err != nil {
					b.Fatal(err)
				}
				if err := cloud.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
