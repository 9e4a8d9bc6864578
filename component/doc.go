// Package component is the Pulumi component that stands a Streamer up: a
// WebSocket API, three tables, four functions and what connects them.
//
//	s, err := component.NewStreamer(ctx, "reports", &component.StreamerArgs{
//		Handlers: &component.Handlers{Package: "../cmd/handlers"},
//		Auth:     &component.Auth{JWKSURL: pulumi.String("https://id.example.com/jwks.json")},
//	})
//
// The files follow the data: [NewStreamer] reads from the API to the stage, and
// one file makes each part. Names of children are part of the contract with the
// stacks that exist: a change of one needs an alias.
//
// A constructor is for one goroutine, as all of a Pulumi program; several components may
// live in one program. The package imports Pulumi and internal packages, never the runtime
// or the local cloud: what it agrees on with the runtime is internal/contract.
package component
