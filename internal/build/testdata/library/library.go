// Package library is no main package.
package library

// Answer is a number.
const Answer = 42
