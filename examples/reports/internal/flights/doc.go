// Package flights reads and writes the archive that holds the flights: one row
// for each flight, with its departure, its route and how late it arrived.
//
// The archive is a zip file of one small document, two tables and three packed
// columns:
//
//	meta.json    rows, first day, rows of the file it was sampled from
//	airports.csv code, name, city, state
//	routes.csv   origin, destination, distance in miles; most flown first
//	departure    a uvarint a row: minutes since the row before (rows are in order)
//	route        low bytes of the row's route, then high bytes
//	delay        a uvarint a row: arrival delay in minutes, zig-zag coded
//
// Each entry is unpacked when it is first asked for, and once: a question about
// airports never pays for the rows. A Dataset may be used by many goroutines.
// The package imports the standard library only.
package flights

import "time"

// Limits of the format. They bound what a damaged archive can make a reader
// allocate.
const (
	// MaxRows is the number of rows that an archive may hold.
	MaxRows = 4_000_000
	// MaxRoutes is the number of routes; a row names its route in 16 bits.
	MaxRoutes = 1 << 16
	// MaxAirports is the number of airports.
	MaxAirports = 1 << 12
	// MaxDelay is the largest delay, early or late, in minutes.
	MaxDelay = 1<<15 - 1
	// maxDays is how far after the first day a departure may be.
	maxDays = 366 * 20
)

// Names of the archive's entries.
const (
	entryMeta      = "meta.json"
	entryAirports  = "airports.csv"
	entryRoutes    = "routes.csv"
	entryDeparture = "departure"
	entryRoute     = "route"
	entryDelay     = "delay"
)

// format is the version of the layout, in meta.json.
const format = 1

// Airport is a place where a flight starts or ends. Only Code is always there.
type Airport struct {
	// Code is the three-letter IATA code.
	Code string
	// Name, City and State say where it is, in English; State is a postal code.
	Name, City, State string
}

// Route is a pair of airports that at least one flight connects.
type Route struct {
	// Origin and Destination are indexes into Dataset.Airports.
	Origin, Destination int
	// Miles is the distance in statute miles.
	Miles int
}

// Meta describes the rows without unpacking them.
type Meta struct {
	// Rows is the number of flights.
	Rows int
	// FirstDay is midnight of the day from which departures are counted. Times
	// are local to the airport of origin and carry no zone, so UTC stands in.
	FirstDay time.Time
	// SourceRows is the number of flights in the file that these were drawn
	// from, and Seed what they were drawn with.
	SourceRows int
	Seed       uint64
}

// Flight is one row in plain form, as an archive is made from it.
type Flight struct {
	// Departure is when it left the gate, local to its origin, in UTC's clothes.
	Departure time.Time
	// Origin and Destination are airport codes.
	Origin, Destination string
	// Miles is the distance; every flight of a route has the same.
	Miles int
	// Delay is how late it arrived, in minutes; early arrivals are negative.
	Delay int
}
