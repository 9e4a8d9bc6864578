package flights_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamer-go/streamer/examples/reports/data"
	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// TestVendored pins every row of the archive that the example carries. The hash
// was computed by internal/analysis/testdata/golden.py, which shares no code.
func TestVendored(t *testing.T) {
	t.Parallel()
	d, err := data.Open()
	if err != nil {
		t.Fatal(err)
	}
	want := flights.Meta{Rows: 500_000, FirstDay: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), SourceRows: 3_000_000, Seed: 2001}
	if d.Meta() != want {
		t.Errorf("meta %+v, want %+v", d.Meta(), want)
	}
	h := sha256.New()
	for _, f := range rowsOf(t, d) {
		fmt.Fprintf(h, "%s,%s,%s,%d,%d\n", f.Departure.Format("2006-01-02 15:04"), f.Origin, f.Destination, f.Miles, f.Delay)
	}
	const hash = "bf6949d85ca7930b4cbd3095d98c252040e9ea74f23f080220dd8bac90d7736b"
	if got := hex.EncodeToString(h.Sum(nil)); got != hash {
		t.Errorf("rows hash to %s, want %s", got, hash)
	}
}

// rowsOf turns a dataset back into plain rows.
func rowsOf(t testing.TB, d *flights.Dataset) []flights.Flight {
	t.Helper()
	airports, err1 := d.Airports()
	routes, err2 := d.Routes()
	departures, err3 := d.Departures()
	routeOf, err4 := d.RouteOf()
	delays, err5 := d.Delays()
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := make([]flights.Flight, d.Meta().Rows)
	for i := range rows {
		r := routes[routeOf[i]]
		rows[i] = flights.Flight{
			Departure: d.Meta().FirstDay.Add(time.Duration(departures[i]) * time.Minute),
			Origin:    airports[r.Origin].Code, Destination: airports[r.Destination].Code, Miles: r.Miles, Delay: int(delays[i]),
		}
	}
	return rows
}

// invent makes rows that reach into the corners of the format.
func invent(random *rand.Rand, n int) []flights.Flight {
	places := 1 + random.IntN(30)
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, random.IntN(1000))
	rows := make([]flights.Flight, n)
	for i := range rows {
		from, to := random.IntN(places), random.IntN(places)
		delay := random.IntN(120) - 40
		if random.IntN(10) == 0 {
			delay = random.IntN(2*flights.MaxDelay+1) - flights.MaxDelay
		}
		rows[i] = flights.Flight{
			Departure: start.Add(time.Duration(random.IntN(400*24*60)) * time.Minute),
			Origin:    fmt.Sprintf("A%02d", from), Destination: fmt.Sprintf("A%02d", to), Miles: from*100 + to, Delay: delay,
		}
	}
	return rows
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		rows := invent(random, 1+random.IntN(700))
		known := []flights.Airport{{Code: "A00", Name: `Quotes, "commas"`, City: "Zürich"}, {Code: "ZZZ"}}
		var archive bytes.Buffer
		if err := flights.Write(&archive, rows, known, len(rows)+3, seed); err != nil {
			t.Fatal(err)
		}
		d := open(t, archive.Bytes())
		slices.SortStableFunc(rows, func(a, b flights.Flight) int { return a.Departure.Compare(b.Departure) })
		if got := rowsOf(t, d); !reflect.DeepEqual(got, rows) {
			t.Fatalf("seed %d: rows changed", seed)
		}
		airports, err := d.Airports()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(airports, known[1]) {
			t.Errorf("seed %d: an airport without flights was kept", seed)
		}
		if airports[0].Code == "A00" && airports[0] != known[0] {
			t.Errorf("seed %d: airport changed: %+v", seed, airports[0])
		}
		if m := d.Meta(); m.SourceRows != len(rows)+3 || m.Seed != seed {
			t.Errorf("seed %d: meta %+v", seed, m)
		}
	}
}

func open(t testing.TB, archive []byte) *flights.Dataset {
	t.Helper()
	d, err := flights.Open(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	day := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	good := flights.Flight{Departure: day, Origin: "BOS", Destination: "ORD", Miles: 867}
	late, far, later := good, good, good
	late.Delay, far.Miles, later.Departure = flights.MaxDelay+1, 868, day.AddDate(40, 0, 0)
	for name, test := range map[string]struct {
		rows []flights.Flight
		want string
	}{
		"no rows":       {nil, "0 rows"},
		"delay":         {[]flights.Flight{good, late}, "row 1"},
		"departure":     {[]flights.Flight{good, later}, "row 1"},
		"two distances": {[]flights.Flight{good, far}, "867 miles and 868 miles"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := flights.Write(&bytes.Buffer{}, test.rows, nil, 10, 0)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
