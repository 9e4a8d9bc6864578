// Command handlers is what the router and the processor of the reports example
// run.
package main

import "github.com/streamer-go/streamer/examples/reports"

func main() { reports.App().Run() }
