// Package gateway is the local cloud's Amazon API Gateway for WebSocket APIs:
// the data plane (handshake, routing, frames, limits, closes), the
// @connections callback API, and the configuration that a deployment serves.
//
// Each API has a listener of its own, so that its paths are AWS's:
// ws://host/{stage} for clients, http://host/{stage}/@connections/{id} for
// callbacks. Only what a deployment has snapshotted and a stage points to is
// served; a later change of a route is invisible until it is deployed.
//
// The package follows the API Gateway developer guide (WebSocket APIs) and
// events recorded on AWS. What no source states is gathered in assumed.go.
//
// Every method of Service is safe for concurrent use. A connection costs one
// goroutine that reads and one timer; a goroutine that writes exists only
// while there is something to write. Messages of one connection are worked on
// concurrently, as on AWS, by workers of which some wait for more when there is
// nothing to do. Time comes from package time alone and the network
// from Options.Listen, so everything runs in a testing/synctest bubble. Close
// stops every goroutine that the package started.
//
// The package imports only account of the local cloud: functions, signatures
// and policies are reached through Options.
package gateway
