package flights

import (
	"archive/zip"
	"cmp"
	"compress/flate"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Write makes an archive of rows, which are put in order of departure (rows of
// the same minute keep their order). Airports describes the codes; those that no
// row uses are left out, and one that is missing is written with its code alone.
// It refuses rows that the format cannot hold, and two distances for one route.
//
// The same rows give the same entries; the compressed bytes may differ between
// releases of Go.
func Write(w io.Writer, rows []Flight, airports []Airport, sourceRows int, seed uint64) error {
	if len(rows) == 0 || len(rows) > MaxRows {
		return fmt.Errorf("write flights archive: %d rows, want 1 to %d", len(rows), MaxRows)
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Flight) int { return a.Departure.Compare(b.Departure) })
	used, routes, routeOf, err := tables(rows, airports)
	if err != nil {
		return fmt.Errorf("write flights archive: %w", err)
	}
	first := rows[0].Departure.UTC().Truncate(24 * time.Hour)
	departures, delays := make([]int32, len(rows)), make([]int16, len(rows))
	for i, f := range rows {
		minutes := f.Departure.Sub(first) / time.Minute
		if minutes > maxDays*24*60 || f.Delay < -MaxDelay || f.Delay > MaxDelay {
			return fmt.Errorf("write flights archive: row %d (%+v) is out of range", i, f)
		}
		departures[i], delays[i] = int32(minutes), int16(f.Delay)
	}
	meta, err := json.Marshal(metaJSON{Format: format, Rows: len(rows), FirstDay: first.Format(time.DateOnly), SourceRows: sourceRows, Seed: seed})
	if err != nil {
		return fmt.Errorf("write flights archive: %w", err)
	}

	archive := zip.NewWriter(w)
	archive.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, entry := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{entryMeta, raw(meta)},
		{entryAirports, table(airportHeader(), used)},
		{entryRoutes, table(routeHeader(), routes)},
		{entryDeparture, raw(encodeDepartures(departures))},
		{entryRoute, raw(encodeRoutes(routeOf))},
		{entryDelay, raw(encodeDelays(delays))},
	} {
		out, err := archive.Create(entry.name)
		if err == nil {
			err = entry.write(out)
		}
		if err != nil {
			return fmt.Errorf("write flights entry %s: %w", entry.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write flights archive: %w", err)
	}
	return nil
}

// tables finds the airports and routes of rows, as records, and each row's route.
func tables(rows []Flight, known []Airport) (airports, routes [][]string, routeOf []uint16, err error) {
	type pair struct{ origin, destination string }
	type stat struct {
		pair
		miles, flights int
	}
	seen, codes := map[pair]*stat{}, map[string]bool{}
	for i, f := range rows {
		p := pair{f.Origin, f.Destination}
		s := seen[p]
		if s == nil {
			s = &stat{pair: p, miles: f.Miles}
			seen[p], codes[f.Origin], codes[f.Destination] = s, true, true
		}
		if s.miles != f.Miles {
			return nil, nil, nil, fmt.Errorf("row %d: %s to %s is %d miles and %d miles", i, f.Origin, f.Destination, s.miles, f.Miles)
		}
		s.flights++
	}
	if len(seen) > MaxRoutes || len(codes) > MaxAirports {
		return nil, nil, nil, fmt.Errorf("%d routes and %d airports, want at most %d and %d", len(seen), len(codes), MaxRoutes, MaxAirports)
	}
	order := make([]*stat, 0, len(seen))
	for _, s := range seen {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b *stat) int {
		return cmp.Or(cmp.Compare(b.flights, a.flights), cmp.Compare(a.origin, b.origin), cmp.Compare(a.destination, b.destination))
	})
	number := make(map[pair]uint16, len(order))
	for i, s := range order {
		number[s.pair] = uint16(i)
		routes = append(routes, []string{s.origin, s.destination, strconv.Itoa(s.miles)})
	}
	routeOf = make([]uint16, len(rows))
	for i, f := range rows {
		routeOf[i] = number[pair{f.Origin, f.Destination}]
	}
	return airportRecords(codes, known), routes, routeOf, nil
}

func airportRecords(codes map[string]bool, known []Airport) [][]string {
	described := make(map[string]Airport, len(codes))
	for code := range codes {
		described[code] = Airport{Code: code}
	}
	for _, a := range known {
		if codes[a.Code] {
			described[a.Code] = a
		}
	}
	records := make([][]string, 0, len(described))
	for _, a := range described {
		records = append(records, []string{a.Code, a.Name, a.City, a.State})
	}
	slices.SortFunc(records, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return records
}

func raw(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

func table(header []string, records [][]string) func(io.Writer) error {
	return func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(header); err != nil {
			return err
		}
		return c.WriteAll(records)
	}
}
