// Command processor is the processor function of an app without actions of its own: it
// knows the built-in ones only.
package main

import streamer "github.com/streamer-go/streamer/runtime"

func main() { streamer.New().Run() }
