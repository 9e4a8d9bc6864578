package flights

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Dataset is an opened archive.
type Dataset struct {
	meta      Meta
	airports  func() ([]Airport, error)
	routes    func() ([]Route, error)
	departure func() ([]int32, error)
	route     func() ([]uint16, error)
	delay     func() ([]int16, error)
}

// Open reads the archive's directory and its meta.json, nothing else. The bytes
// behind r must stay as they are for as long as the Dataset is used.
func Open(r io.ReaderAt, size int64) (*Dataset, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("open flights archive: %w", err)
	}
	d := &Dataset{}
	if d.meta, err = readMeta(archive); err != nil {
		return nil, err
	}
	rows := d.meta.Rows
	d.airports = sync.OnceValues(func() ([]Airport, error) { return readAirports(archive) })
	d.routes = sync.OnceValues(func() ([]Route, error) {
		airports, err := d.airports()
		if err != nil {
			return nil, err
		}
		return readRoutes(archive, airports)
	})
	d.departure = column(archive, entryDeparture, rows, decodeDepartures)
	d.route = sync.OnceValues(func() ([]uint16, error) {
		routes, err := d.routes()
		if err != nil {
			return nil, err
		}
		return column(archive, entryRoute, rows, func(packed []byte, rows int) ([]uint16, error) {
			return decodeRoutes(packed, rows, len(routes))
		})()
	})
	d.delay = column(archive, entryDelay, rows, decodeDelays)
	return d, nil
}

// Meta tells what is known without unpacking anything.
func (d *Dataset) Meta() Meta { return d.meta }

// Airports returns the airports, sorted by code. The caller must not change it;
// the same holds for every other slice of a Dataset.
func (d *Dataset) Airports() ([]Airport, error) { return d.airports() }

// Routes returns the routes, the most flown first.
func (d *Dataset) Routes() ([]Route, error) { return d.routes() }

// Departures returns, for each row, minutes since Meta.FirstDay, never falling.
func (d *Dataset) Departures() ([]int32, error) { return d.departure() }

// RouteOf returns, for each row, an index into Routes.
func (d *Dataset) RouteOf() ([]uint16, error) { return d.route() }

// Delays returns, for each row, the arrival delay in minutes.
func (d *Dataset) Delays() ([]int16, error) { return d.delay() }

func column[T any](archive *zip.Reader, name string, rows int, decode func([]byte, int) ([]T, error)) func() ([]T, error) {
	return sync.OnceValues(func() ([]T, error) {
		// A uvarint of these columns takes five bytes at most.
		packed, err := readEntry(archive, name, int64(rows)*5)
		if err != nil {
			return nil, err
		}
		values, err := decode(packed, rows)
		if err != nil {
			return nil, fmt.Errorf("read flights entry %s: %w", name, err)
		}
		return values, nil
	})
}

// readEntry unpacks an entry that may have max bytes. It does not trust the size
// in the archive's directory.
func readEntry(archive *zip.Reader, name string, max int64) ([]byte, error) {
	f, err := archive.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read flights entry %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // it was read
	content, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fmt.Errorf("read flights entry %s: %w", name, err)
	}
	if int64(len(content)) > max {
		return nil, fmt.Errorf("read flights entry %s: longer than %d bytes", name, max)
	}
	return content, nil
}

type metaJSON struct {
	Format     int    `json:"format"`
	Rows       int    `json:"rows"`
	FirstDay   string `json:"first_day"`
	SourceRows int    `json:"source_rows"`
	Seed       uint64 `json:"seed"`
}

func readMeta(archive *zip.Reader) (Meta, error) {
	content, err := readEntry(archive, entryMeta, 1<<12)
	if err != nil {
		return Meta{}, err
	}
	var m metaJSON
	if err := json.Unmarshal(content, &m); err != nil {
		return Meta{}, fmt.Errorf("read flights entry %s: %w", entryMeta, err)
	}
	first, err := time.Parse(time.DateOnly, m.FirstDay)
	switch {
	case m.Format != format:
		err = fmt.Errorf("format %d, want %d", m.Format, format)
	case m.Rows < 0 || m.Rows > MaxRows:
		err = fmt.Errorf("%d rows, want 0 to %d", m.Rows, MaxRows)
	case m.SourceRows < m.Rows:
		err = fmt.Errorf("%d rows of %d", m.Rows, m.SourceRows)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("read flights entry %s: %w", entryMeta, err)
	}
	return Meta{Rows: m.Rows, FirstDay: first, SourceRows: m.SourceRows, Seed: m.Seed}, nil
}

// readTable reads a CSV entry with the header given and at most max records.
func readTable(archive *zip.Reader, name string, header []string, max int) ([][]string, error) {
	content, err := readEntry(archive, name, int64(max+1)*256)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(string(content)))
	r.FieldsPerRecord = len(header)
	records, err := r.ReadAll()
	switch {
	case err != nil:
	case len(records) == 0 || strings.Join(records[0], ",") != strings.Join(header, ","):
		err = fmt.Errorf("header is not %s", strings.Join(header, ","))
	case len(records) > max+1:
		err = fmt.Errorf("%d records, at most %d", len(records)-1, max)
	}
	if err != nil {
		return nil, fmt.Errorf("read flights entry %s: %w", name, err)
	}
	return records[1:], nil
}

func readAirports(archive *zip.Reader) ([]Airport, error) {
	records, err := readTable(archive, entryAirports, airportHeader(), MaxAirports)
	if err != nil {
		return nil, err
	}
	airports := make([]Airport, len(records))
	for i, f := range records {
		airports[i] = Airport{Code: f[0], Name: f[1], City: f[2], State: f[3]}
		if i > 0 && airports[i-1].Code >= f[0] {
			return nil, fmt.Errorf("read flights entry %s: record %d: %q is not after %q", entryAirports, i, f[0], airports[i-1].Code)
		}
	}
	return airports, nil
}

func readRoutes(archive *zip.Reader, airports []Airport) ([]Route, error) {
	records, err := readTable(archive, entryRoutes, routeHeader(), MaxRoutes)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(airports))
	for i, a := range airports {
		index[a.Code] = i
	}
	routes := make([]Route, len(records))
	for i, f := range records {
		origin, ok1 := index[f[0]]
		destination, ok2 := index[f[1]]
		miles, err := strconv.Atoi(f[2])
		if err == nil && (!ok1 || !ok2) {
			err = errors.New("unknown airport")
		}
		if err == nil && (miles < 0 || miles > 20_000) {
			err = fmt.Errorf("%d miles", miles)
		}
		if err != nil {
			return nil, fmt.Errorf("read flights entry %s: record %d: %w", entryRoutes, i, err)
		}
		routes[i] = Route{Origin: origin, Destination: destination, Miles: miles}
	}
	return routes, nil
}

func airportHeader() []string { return []string{"code", "name", "city", "state"} }

func routeHeader() []string { return []string{"origin", "destination", "miles"} }
