package app

import (
	"encoding/json"
	"os"
	"time"
)

// Notes is the file that handlers write into, a Note a line.
const Notes = "notes"

// Note is something that a run of a handler did.
type Note struct {
	At      time.Time `json:"at"`
	Request string    `json:"request"` // user/id
	Run     string    `json:"run"`
	Attempt int       `json:"attempt"`
	PID     int       `json:"pid"`
	// What: begin, failed and returns; disk for an error of it; effect and told for
	// a step's run and what it returned; restored and stored for checkpoints.
	What string `json:"what"`
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"`
}

func (r *at) note(what, text string, n int) error {
	line, err := json.Marshal(Note{
		time.Now(), r.call.Caller.User + "/" + r.call.ID, r.name, r.call.Attempt, os.Getpid(), what, text, n,
	})
	if err != nil {
		return err
	}
	return Append(Notes, append(line, '\n'))
}
