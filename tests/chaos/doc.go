// Package chaos stands the system up as its built binaries and breaks it while
// it is at work, in real time: functions are killed and frozen, their disk is
// full, their network to AWS's services is slow, cut and dead, and clients lose
// their connections. Afterwards every promise must have been kept.
//
//	go test ./tests/chaos                          a small dose
//	STREAMER_CHAOS=10m go test ./tests/chaos -timeout 0   a storm of ten minutes
//	STREAMER_CHAOS_SEED=7 …                        the same requests and faults
//
// The seed decides what is sent and which faults come when. Which process a
// fault meets, and what that one is doing, is up to the machine: the simulation
// (tests/sim) is what repeats a run exactly, this test is what shows that
// processes, sockets and signals do as the simulation says.
//
// # The parts
//
//   - app, infra: the service and its Pulumi program.
//   - plan: requests and faults, drawn from the seed.
//   - system: the system, its processes and its tables.
//   - proxy: the network between the functions and the cloud, with its weather.
//   - tap: what clients' sockets carry, frame by frame, and how they are cut.
//   - client: what a client is told by its client.Session.
//   - fault: what a fault does.
//   - past: the history of every request, from the stream of the table.
//   - check: what must be true afterwards.
//   - told: what a failing run prints.
//
// # The full disk
//
// The runtime keeps nothing on the disk, so handlers do here: the file that they
// write to becomes /dev/full for a while, and the kernel answers ENOSPC. That
// shows that an attempt that fails this way is repeated and that nothing else
// notices. It does not show a Lambda sandbox whose /tmp is full before the
// function starts.
//
// # To add
//
// A kind of request is an action of app and an entry of kinds; a fault an entry
// of faults; a promise an entry of checks.
//
// Processes are found by /proc, so the test runs on Linux alone. The package may
// import every other one.
package chaos
