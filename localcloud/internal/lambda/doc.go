// Package lambda is the Lambda service of the local cloud: functions and their
// instances, the Runtime API that the real bootstrap binaries speak, the Invoke
// API, asynchronous invocation with retries and destinations, and the event
// source mappings (their pollers live in package eventsource).
//
// A Service starts instances through a Launcher. NewProcessLauncher runs
// bootstrap binaries as processes; NewFuncLauncher calls Go functions in this
// process, so that a simulation runs inside a testing/synctest bubble.
//
// All exported methods are safe for concurrent use. Nothing outlives
// Service.Close and ProcessLauncher.Close.
//
// The package imports account and eventsource only; streams, queues, roles and
// credentials reach it through Options.
package lambda
