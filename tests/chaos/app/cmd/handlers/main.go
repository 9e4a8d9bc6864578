// Command handlers is the binary of the chaos test's router and processor.
package main

import "github.com/streamer-go/streamer/tests/chaos/app"

func main() { app.App().Run() }
