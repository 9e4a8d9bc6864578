package gateway

// What no AWS document or recording states. Each value is the choice that
// fits the documented rest best; verify against AWS before relying on one.
const (
	// Text of the frame that answers a throttled message.
	textThrottled = "Too Many Requests"
	// Reason of a DISCONNECT event whose client vanished without a close frame.
	reasonAbnormal = "Connection Closed Abnormally"
	// Reasons of closes by the gateway for what the client sent.
	reasonMessageTooBig = "Message too big"
	reasonFrameTooBig   = "Frame too big"
	reasonBinary        = "Binary frames are not supported"
	reasonNotText       = "Text frame is not valid UTF-8"
	reasonProtocol      = "Protocol error"
	// How much may wait for a slow client before @connections answers 429;
	// see Limits.Buffer.
	defaultBuffer = 512 << 10
	// Status of a handshake on a path that is no stage.
	statusNoStage = 403
	// Text of a handshake refused by the authorizer's policy is "Forbidden", of
	// one that $connect refused the status's own; see refusal.

	// Status when the gateway may not or cannot invoke a function.
	statusCannotInvoke = 500
	// Longest URL; a longer one is answered 414.
	maxURL = 4096
)
