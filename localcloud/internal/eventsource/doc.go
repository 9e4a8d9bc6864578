// Package eventsource polls streams and queues and invokes functions with what
// it finds: Lambda's event source mappings for DynamoDB Streams and SQS, with
// filters, batches, retries, bisection, partial failures and failure records.
//
// A Manager is safe for concurrent use; nothing outlives Manager.Close. All
// waiting is on channels and timers, so that it runs in virtual time.
//
// The package imports account only. Streams, queues and functions reach it
// through the interfaces and functions of Options.
package eventsource
