// The converter is a module of its own: it alone needs a reader of Parquet files.
module github.com/streamer-go/streamer/examples/reports/internal/convert

go 1.26

require (
	github.com/parquet-go/parquet-go v0.32.0
	github.com/streamer-go/streamer v0.0.0
)

require (
	github.com/andybalholm/brotli v1.1.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.18.7 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.21 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	golang.org/x/sys v0.46.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace github.com/streamer-go/streamer => ../../../..
