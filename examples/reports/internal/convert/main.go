// Command convert makes the archive of flights that the reports example carries
// from the files of the npm package vega-datasets:
//
//	npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
//	go run -C examples/reports/internal/convert . -source "$PWD/package/data" -out "$PWD/examples/reports/data/flights.zip"
//
// It draws rows without replacement and with a fixed seed, so that the same
// source gives the same rows.
package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

func main() {
	source := flag.String("source", "package/data", "folder with flights-3m.parquet and airports.csv")
	out := flag.String("out", "flights.zip", "archive to write")
	rows := flag.Int("rows", 500_000, "number of flights to draw")
	seed := flag.Uint64("seed", 2001, "seed of the draw")
	flag.Parse()
	if err := convert(*source, *out, *rows, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func convert(source, out string, rows int, seed uint64) error {
	airports, err := readAirports(filepath.Join(source, "airports.csv"))
	if err != nil {
		return err
	}
	drawn, total, err := draw(filepath.Join(source, "flights-3m.parquet"), rows, seed)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := flights.Write(&archive, drawn, airports, total, seed); err != nil {
		return err
	}
	if err := os.WriteFile(out, archive.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d flights, %d bytes\n", out, len(drawn), total, archive.Len())
	return nil
}

// draw reads the flights and keeps want of them: each row is taken with the
// chance that is left, which gives every subset the same chance and keeps the
// order (Knuth, TAOCP 2, algorithm 3.4.2S).
func draw(name string, want int, seed uint64) ([]flights.Flight, int, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return nil, 0, fmt.Errorf("open %s: %w", name, err)
	}
	if err := checkColumns(file); err != nil {
		return nil, 0, fmt.Errorf("open %s: %w", name, err)
	}
	left := int(file.NumRows())
	total, random := left, rand.New(rand.NewPCG(seed, 0))
	if want < 1 || want > total {
		return nil, 0, fmt.Errorf("draw %d rows of %d", want, total)
	}
	drawn := make([]flights.Flight, 0, want)
	for _, group := range file.RowGroups() {
		err := eachRow(group, func(row parquet.Row) {
			if random.IntN(left) < want-len(drawn) {
				drawn = append(drawn, flight(row))
			}
			left--
		})
		if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return drawn, total, nil
}

func eachRow(group parquet.RowGroup, do func(parquet.Row)) error {
	rows := group.Rows()
	defer rows.Close()
	buffer := make([]parquet.Row, 1024)
	for {
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			do(row)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func checkColumns(file *parquet.File) error {
	want := []string{"date", "delay", "distance", "origin", "destination"}
	fields := file.Schema().Fields()
	if len(fields) != len(want) {
		return fmt.Errorf("%d columns, want %v", len(fields), want)
	}
	for i, f := range fields {
		if f.Name() != want[i] {
			return fmt.Errorf("column %d is %s, want %s", i, f.Name(), want[i])
		}
	}
	return nil
}

func flight(row parquet.Row) flights.Flight {
	return flights.Flight{
		Departure:   time.UnixMicro(row[0].Int64()).UTC(),
		Delay:       int(row[1].Int64()),
		Miles:       int(row[2].Int64()),
		Origin:      row[3].String(),
		Destination: row[4].String(),
	}
}

// readAirports reads columns iata, name, city, state, country, latitude, longitude.
func readAirports(name string) ([]flights.Airport, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	airports := make([]flights.Airport, 0, len(records))
	for _, f := range records[1:] {
		airports = append(airports, flights.Airport{Code: f[0], Name: f[1], City: f[2], State: f[3]})
	}
	return airports, nil
}
