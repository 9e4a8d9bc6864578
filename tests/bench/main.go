// Command bench measures Streamer on the local cloud: round trips through real
// function processes beside two servers that do less, connections held, and the
// first frames of long requests. Servers and clients are processes of their own,
// on 127.0.0.1, and every phase is bounded in time and count.
//
//	go run ./tests/bench                             prints the results
//	go run ./tests/bench -write docs/benchmarks.md   puts them into the page
//
// See docs/benchmarks.md for what the numbers mean. It needs Linux: CPU times
// come from /proc. The driver runs one phase after the other and is not for
// concurrent use; it imports the local cloud by internal/devhost alone.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// plan is what is measured and for how long.
type plan struct {
	Rounds      int
	For         time.Duration // each measurement of a round
	Warm        time.Duration // before the first round
	Small, Big  int           // connections of the round trips
	Rate        float64       // per second, of the open loop
	Connections int           // held
	Sources     int           // processes that hold them
	Long        int           // long requests
	Dir         string        // of the system's Pulumi program
	Profile     string        // where a CPU profile of the local cloud goes, "" for none
}

func main() {
	if role := os.Getenv(envRole); role != "" {
		if err := servePeer(role); err != nil {
			fmt.Fprintln(os.Stderr, role+": "+err.Error())
			os.Exit(1)
		}
		return
	}
	var p plan
	flag.IntVar(&p.Rounds, "rounds", 5, "how often each round trip is measured; medians are shown")
	flag.DurationVar(&p.For, "for", 4*time.Second, "how long one measurement takes")
	flag.DurationVar(&p.Warm, "warm", 3*time.Second, "how long servers are warmed up with the load before the first")
	flag.IntVar(&p.Small, "small", 20, "connections of the small closed loop")
	flag.IntVar(&p.Big, "big", 500, "connections of the big closed loop and the open loop")
	flag.Float64Var(&p.Rate, "rate", 2000, "messages per second of the open loop; 0 leaves it out")
	flag.IntVar(&p.Connections, "connections", 10000, "connections to hold; 0 leaves it out")
	flag.IntVar(&p.Sources, "sources", 2, "client processes that hold them")
	flag.IntVar(&p.Long, "long", 50, "long requests; 0 leaves them out")
	flag.StringVar(&p.Dir, "dir", "tests/bench/app", "directory of the system's Pulumi program")
	flag.StringVar(&p.Profile, "profile", "", "write a CPU profile of the local cloud under the small closed loop to this file")
	write := flag.String("write", "", "put the results into this page, between its markers")
	flag.Parse()
	if err := benchmark(p, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func benchmark(p plan, page string) error {
	r, err := run(p)
	if err != nil {
		return err
	}
	text := r.markdown()
	if page == "" {
		_, err = fmt.Print(text)
		return err
	}
	return putInto(page, text)
}

// run carries out the plan.
func run(p plan) (r *results, err error) {
	d := &driver{plan: p}
	defer func() { err = errors.Join(err, d.close()) }()
	r = &results{plan: p, began: time.Now(), loadBefore: loadAverage()}
	if err := d.start(); err != nil {
		return nil, err
	}
	for _, step := range []func(*results) error{d.longRequests, d.roundTrips, d.hold} {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	r.took, r.loadAfter = time.Since(r.began), loadAverage()
	return r, nil
}
