//go:build !race

package request

const raced = false
