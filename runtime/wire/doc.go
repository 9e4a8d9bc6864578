// Package wire is the protocol between a client and Streamer: the messages that
// a client sends, the frames that it is sent, the codes of errors, and the one
// schema (schema.json) that all of it is checked against. docs/protocol.md says
// the same to people.
//
// [Parse] reads a client's message, [Decode] its payload; the Append functions
// write frames; [Frame] reads them, for clients and tests.
//
// Everything here is a pure function of its arguments and safe for concurrent
// use. The package imports the standard library only, and nothing of this
// module, so that clients can be built on it.
package wire

// Protocol is the WebSocket subprotocol of this version of the wire. It changes
// when a client that was written for it would misunderstand a frame.
const Protocol = "streamer.v1"

// Limits of the wire. The first two are API Gateway's own, see "Amazon API
// Gateway quotas" in its developer guide; a message above either is answered
// with close code 1009 and never reaches us.
const (
	// MaxMessage is the size of a message in bytes, in either direction.
	MaxMessage = 131072
	// MaxFrame is the size of one WebSocket frame in bytes; a longer message has
	// to be fragmented.
	MaxFrame = 32768
	// MaxID is the length of a request id in characters.
	MaxID = 128
	// MaxAction is the length of the name of an action in characters.
	MaxAction = 128
	// MaxMetadata is the size of a message's metadata in bytes, as it was sent.
	MaxMetadata = 4096
	// MaxUpload is the size of a payload that is uploaded, in bytes.
	MaxUpload = 20 << 20
	// MaxDepth is how deep arrays and objects of a message may be nested.
	MaxDepth = 512
	// MaxDetails is how many problems an error lists.
	MaxDetails = 10
)

// Built-in actions of this version. All names that begin with $ are reserved:
// the others answer [CodeInvalidAction].
const (
	ActionHello  = "$hello"
	ActionPing   = "$ping"
	ActionGet    = "$get"
	ActionCancel = "$cancel"
	ActionResume = "$resume"
	ActionSync   = "$sync"
	ActionList   = "$list"
	ActionFetch  = "$fetch"
	ActionUpload = "$upload"
)

// States of a request, as acknowledgments and the answer to $get name them.
const (
	StatusPending    = "PENDING"
	StatusProcessing = "PROCESSING"
	StatusSucceeded  = "SUCCEEDED"
	StatusFailed     = "FAILED"
	StatusCancelled  = "CANCELLED"
)

// Types of frames.
const (
	TypeResponse       = "response"
	TypeAcknowledgment = "acknowledgment"
	TypeProgress       = "progress"
	TypePartial        = "partial"
	TypeComplete       = "complete"
	TypeError          = "error"
	TypeEvent          = "event"
)
