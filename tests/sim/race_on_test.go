//go:build race

package sim_test

// raceDetector says whether the tests were built with it: runs take five times
// as long then.
const raceDetector = true
