// Command handlers is what the router and the processor of the tests run.
package main

import "github.com/streamer-go/streamer/tests/e2e/app"

func main() { app.App().Run() }
