// Command connect is the connect function as it is deployed.
package main

import streamer "github.com/streamer-go/streamer/runtime"

func main() { streamer.RunConnect() }
