// Command hello is the smallest program that can be built.
package main

import "fmt"

func main() { fmt.Println("hello") }
