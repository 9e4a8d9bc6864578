package flights_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// entries is an archive of three rows that is fine.
func entries() map[string]string {
	return map[string]string{
		"meta.json":    `{"format":1,"rows":3,"first_day":"2001-01-01","source_rows":3,"seed":0}`,
		"airports.csv": "code,name,city,state\nBOS,Logan,Boston,MA\nORD,O'Hare,Chicago,IL\n",
		"routes.csv":   "origin,destination,miles\nBOS,ORD,867\nORD,BOS,867\n",
		"departure":    "\x00\x05\x80\x01",
		"route":        "\x00\x01\x00\x00\x00\x00",
		"delay":        "\x00\x01\x02",
	}
}

func pack(t testing.TB, entries map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range entries {
		entry, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readAll opens an archive and unpacks everything in it.
func readAll(archive []byte) (*flights.Dataset, error) {
	d, err := flights.Open(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	_, err1 := d.Airports()
	_, err2 := d.Routes()
	_, err3 := d.Departures()
	_, err4 := d.RouteOf()
	_, err5 := d.Delays()
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func TestReadByHand(t *testing.T) {
	t.Parallel()
	d, err := readAll(pack(t, entries()))
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(t, d)
	got := make([]string, len(rows))
	for i, r := range rows {
		got[i] = r.Departure.Format("15:04") + " " + r.Origin + " " + r.Destination
	}
	if want := "00:00 BOS ORD, 00:05 ORD BOS, 02:13 BOS ORD"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if rows[0].Delay != 0 || rows[1].Delay != -1 || rows[2].Delay != 1 {
		t.Errorf("delays of %+v, want 0, -1, 1", rows)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	huge := string(binary.AppendUvarint(nil, 1<<40))
	for name, test := range map[string]struct{ entry, content, want string }{
		"not json":         {"meta.json", `{`, "meta.json"},
		"other format":     {"meta.json", `{"format":2,"rows":3,"first_day":"2001-01-01","source_rows":3}`, "format 2"},
		"too many rows":    {"meta.json", `{"format":1,"rows":4000001,"first_day":"2001-01-01","source_rows":4000001}`, "4000001 rows"},
		"negative rows":    {"meta.json", `{"format":1,"rows":-1,"first_day":"2001-01-01"}`, "-1 rows"},
		"more than source": {"meta.json", `{"format":1,"rows":3,"first_day":"2001-01-01","source_rows":2}`, "3 rows of 2"},
		"no day":           {"meta.json", `{"format":1,"rows":3,"first_day":"today","source_rows":3}`, "today"},
		"long meta":        {"meta.json", strings.Repeat(" ", 5000), "longer than"},
		"no header":        {"airports.csv", "BOS,Logan,Boston,MA\n", "header"},
		"empty table":      {"airports.csv", "", "header"},
		"unsorted":         {"airports.csv", "code,name,city,state\nORD,,,\nBOS,,,\n", "is not after"},
		"fields":           {"routes.csv", "origin,destination,miles\nBOS,ORD\n", "fields"},
		"unknown airport":  {"routes.csv", "origin,destination,miles\nBOS,XXX,1\n", "unknown airport"},
		"no distance":      {"routes.csv", "origin,destination,miles\nBOS,ORD,far\n", "far"},
		"far":              {"routes.csv", "origin,destination,miles\nBOS,ORD,99999\n", "99999 miles"},
		"short departure":  {"departure", "\x00\x05", "too few"},
		"open varint":      {"departure", "\x00\x05\x80", "too few"},
		"long departure":   {"departure", "\x00\x05\x01\x01", "after the last"},
		"far departure":    {"departure", "\x00\x05" + huge, "days after"},
		"short route":      {"route", "\x00\x00\x00", "too few"},
		"long route":       {"route", "\x00\x01\x00\x00\x00\x00\x00", "after the last"},
		"unknown route":    {"route", "\x00\x02\x00\x00\x00\x00", "route 2 of 2"},
		"huge delay":       {"delay", "\x00\x01" + huge, "delay of"},
		"long column":      {"delay", strings.Repeat("\x00", 16), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := entries()
			e[test.entry] = test.content
			_, err := readAll(pack(t, e))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.entry) {
				t.Errorf("got %v, want an error with %q and %q", err, test.entry, test.want)
			}
		})
	}
	for name := range entries() {
		t.Run("without "+name, func(t *testing.T) {
			t.Parallel()
			e := entries()
			delete(e, name)
			if _, err := readAll(pack(t, e)); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want an error that names it", err)
			}
		})
	}
	if _, err := readAll([]byte("no archive")); err == nil {
		t.Error("text was taken for an archive")
	}
}

// FuzzRead damages entries, which zip alone would not let through for their
// checksums. What is read must keep the format's promises and survive a rewrite.
func FuzzRead(f *testing.F) {
	e := entries()
	f.Add(e["meta.json"], e["airports.csv"], e["routes.csv"], []byte(e["departure"]), []byte(e["route"]), []byte(e["delay"]))
	f.Add(`{"format":1,"rows":1,"first_day":"2001-01-01","source_rows":1}`, "code,name,city,state\n", "origin,destination,miles\n", []byte{0}, []byte{0, 0}, []byte{0})
	f.Add(`{"format":1,"first_day":"2001-01-01"}`, "code,name,city,state\nBOS,,,\n", "origin,destination,miles\n", []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, meta, airports, routes string, departure, route, delay []byte) {
		d, err := readAll(pack(t, map[string]string{
			"meta.json": meta, "airports.csv": airports, "routes.csv": routes,
			"departure": string(departure), "route": string(route), "delay": string(delay),
		}))
		if err != nil {
			return
		}
		rows := rowsOf(t, d) // indexes every route and airport
		for i := 1; i < len(rows); i++ {
			if rows[i].Departure.Before(rows[i-1].Departure) {
				t.Fatalf("row %d departs before the row before", i)
			}
		}
		var again bytes.Buffer
		if err := flights.Write(&again, rows, nil, d.Meta().SourceRows, d.Meta().Seed); err != nil {
			return // no rows, or one route in two distances: readable, but nothing that Write makes
		}
		second := rowsOf(t, open(t, again.Bytes()))
		for i := range rows {
			if rows[i] != second[i] {
				t.Fatalf("row %d: %+v became %+v", i, rows[i], second[i])
			}
		}
	})
}

// TestBitFlips damages an archive byte by byte: it is refused or reads the same.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	var whole bytes.Buffer
	if err := flights.Write(&whole, invent(random, 200), nil, 200, 0); err != nil {
		t.Fatal(err)
	}
	want := rowsOf(t, open(t, whole.Bytes()))
	for range 2000 {
		damaged := bytes.Clone(whole.Bytes())
		damaged[random.IntN(len(damaged))] ^= byte(1 << random.IntN(8))
		d, err := readAll(damaged)
		if err != nil {
			continue
		}
		got := rowsOf(t, d)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("damage went unnoticed: row %d: %+v, want %+v", i, got[i], want[i])
			}
		}
	}
}
