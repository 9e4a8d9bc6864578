// Package sim runs the whole system, the production code of all four functions
// and the local cloud, in one process and in virtual time, breaks it in every
// way that it has to bear, and checks afterwards that every promise was kept.
// One number, the seed, decides everything: who sends what and when, what the
// handlers do, and which calls, events and connections go wrong.
//
//	go test ./tests/sim                     two thousand requests, and the mutants
//	go test -race -short ./tests/sim        two hundred
//	STREAMER_SIM_SEED=7 go test -run Simulation ./tests/sim            one seed, again
//	STREAMER_SIM_SEED=7 STREAMER_SIM_STORY=1 go test -v -run Simulation ./tests/sim
//	STREAMER_SIM_REQUESTS=100000 go test -run Simulation -timeout 0 ./tests/sim
//
// A run that breaks a promise is made smaller by leaving out clients, requests
// and faults while it still does, and what is left is printed as a story: when,
// who, what. Two runs of a seed are alike to the last call, but for one in some
// sixty: what Go leaves to chance (which of two ready channels a select takes) no
// seed decides. The race detector shuffles what is ready, and makes more differ.
//
// # The parts
//
//   - plan: what the clients do and how bad the weather is, drawn from the seed.
//     A plan can be made smaller by leaving parts out; that is how a failing run
//     shrinks to a short story.
//   - world: the local cloud with the graph that the component registers, all in
//     one bubble of testing/synctest. Functions are the runtime's handlers; each
//     instance has a transport of its own.
//   - call, fault: every call of a function is named by what it is about
//     ("processor end ann/r3 #2"), and its fate is a hash of the seed and that
//     name. No generator is shared, so that one call more or less changes
//     nothing for the others. Each call also takes a time of its own, so that
//     hardly two things happen at one instant.
//   - event: the same for what the functions are invoked with.
//   - client: what docs/protocol.md asks of a client, over coder/websocket.
//   - check: what must be true afterwards. The history of every request is read
//     from the table's stream, the rules know nothing of the runtime's code.
//   - mutant: a guard is taken out of the requests to DynamoDB on their way, and
//     the checks must notice.
//
// # To add
//
//   - something that a client does: an entry of deeds, and its weight in plan; what
//     is answered to it: an entry of answers.
//   - something that a handler does: an entry of endings, a field of ask, or an
//     action in app or durable.
//   - a fault of calls: an entry of callFaults; of events: of eventFaults.
//   - a write of the runtime: a line in writes, so that faults and stories name it.
//   - a promise: a function in checks, or in rules where it is about one write.
//   - a guard to take out: an entry of mutants.
//
// Nothing here is safe for use outside of its bubble, and runs come one after
// another: each of them takes all there is of the machine. The package may
// import every other one.
package sim
