package request

import "encoding/json"

// Attempt is how an attempt at a request failed, as history remembers it under
// keys.Attempt. Times are epoch milliseconds. It is told to operators alone:
// Text is the handler's own error.
type Attempt struct {
	Number    int64  `json:"n"`
	Began     int64  `json:"began"`
	Ended     int64  `json:"ended"`          // 0: that is not known
	Next      int64  `json:"next,omitempty"` // when the next one is to begin; 0: it was the last
	Postponed bool   `json:"postponed,omitempty"`
	Silent    bool   `json:"silent,omitempty"` // it ended without a word: told by the one after it
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"` // as the client is told
	Text      string `json:"text,omitempty"`
	Reference string `json:"reference,omitempty"`
	Where     Where  `json:"where"`
}

// Where an attempt ran.
type Where struct {
	Function  string `json:"function,omitempty"`
	LogGroup  string `json:"log_group,omitempty"`
	LogStream string `json:"log_stream,omitempty"`
	RequestID string `json:"request_id,omitempty"` // of the invocation
}

// Encode is what history holds of the attempt.
func (a *Attempt) Encode() ([]byte, error) { return json.Marshal(a) }

// DecodeAttempt reads it.
func DecodeAttempt(raw []byte) (a Attempt, err error) { return a, json.Unmarshal(raw, &a) }
