package e2e_test

import (
	"testing"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
)

// Permissions are enforced: without one of its rights a function fails, and its
// log says which call, on what, as whom. (ForbiddenException of @connections has
// no text in the SDK's model, so there it names the call and the connection.)
func TestMissingRights(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		withhold string
		log      []string
		then     func(t *testing.T, s *system)
	}{
		"router may not accept": {"e2e-router dynamodb:PutItem", []string{"AccessDenied", "dynamodb:PutItem", ":table/e2e-requests", ":assumed-role/e2e-router"}, func(t *testing.T, s *system) {
			refused(t, s.connect(t, "u"), long("r"), wire.CodeUnavailable)
		}},
		"processor may not push": {"e2e-processor execute-api:ManageConnections", []string{"not authorized", "execute-api:ManageConnections", "/POST/@connections/", ":assumed-role/e2e-processor"}, func(t *testing.T, s *system) {
			r := s.raw(t, "u")
			r.send(`{"id":"r","action":"fail","payload":{"times":0}}`)
			if f := r.next(); f.Type != wire.TypeAcknowledgment {
				t.Errorf("got %+v", f)
			}
			conn := s.connect(t, "u")
			// Nobody hears of it, but it is done.
			eventually(t, "the request succeeds", patience, func() bool { return get(t, conn, "r").Status == wire.StatusSucceeded })
		}},
		"dispatcher may not start": {"e2e-dispatcher lambda:InvokeFunction", []string{"AccessDenied", "lambda:InvokeFunction", ":function:e2e-processor", ":assumed-role/e2e-dispatcher"}, func(t *testing.T, s *system) {
			conn := s.connect(t, "u")
			r := s.raw(t, "u")
			r.send(`{"id":"r","action":"fail","payload":{"times":0}}`)
			if f := r.next(); f.Type != wire.TypeAcknowledgment {
				t.Errorf("got %+v", f)
			}
			if got := get(t, conn, "r"); got.Status != wire.StatusPending || got.Attempt != 0 {
				t.Errorf("stored is %+v", got)
			}
		}},
		"connect may not note": {"e2e-connect dynamodb:PutItem", []string{"AccessDenied", "dynamodb:PutItem", ":table/e2e-connections", ":assumed-role/e2e-connect"}, func(t *testing.T, s *system) {
			header := map[string][]string{"Authorization": {"Bearer " + s.token(t, "u")}}
			wantServerError(t, s.URL, &websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{wire.Protocol}})
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, func(o *devhost.Options) { o.Config = map[string]string{"withhold": tt.withhold} })
			tt.then(t, s)
			eventually(t, "the log names the call", patience, func() bool { return s.log.find(tt.log...) != "" })
		})
	}
}
