// Package dynamodb is an in-memory DynamoDB with DynamoDB Streams. It answers
// the JSON 1.0 protocol of both services, so unmodified AWS clients talk to it,
// and it offers tables and streams in process to the rest of the local cloud.
//
// What it covers: tables with a hash and an optional range key, secondary
// indexes, expressions of all kinds and the parameters that they replaced,
// batches, transactions, time to live, streams, tags, and the permission check
// and billing count of each call. What it does not cover (PartiQL, replicas,
// encryption by a key, resource policies) is refused by name: an operation as
// well as a member of a request.
//
// A Service is safe for concurrent use: one lock orders all calls, so every
// read is consistent, every transaction is serial, and an index is never
// behind its table. It reads time from package time alone and starts no
// goroutine of its own but the timer that deletes expired items.
//
// It imports the packages account, iam (for the condition keys of a call) and
// strictjson, and the standard library, nothing else.
package dynamodb
