// Package streamer runs typed Go functions behind one API Gateway WebSocket.
// Quick ones are answered at once, long ones are accepted, worked off in the
// background, and report progress and their result over the same socket.
//
// Handlers are registered once and serve both roles, router and processor:
//
//	app := streamer.New()
//	streamer.Handle(app, "echo", func(ctx context.Context, in Echo) (Echo, error) { return in, nil })
//	streamer.HandleTask(app, "report.generate", generate, streamer.Retry(5, streamer.Exponential(time.Second)))
//	app.Run()
//
// A handler that takes a *Task is long. A plain one is quick, unless its
// estimate for this input is over the threshold (5 s by default): then the
// same function runs in the background. Nothing else decides.
//
// The verbs of a request's walk are one file each: connect, route, accept,
// dispatch, process, progress. Registration is not safe for concurrent use and
// ends with Run; everything after it is. No goroutine outlives an invocation
// but a quick handler's that ignores its cancelled context, and connect's while it
// fetches a key set that somebody has waited for in vain. App.Run keeps one that
// runs quick handlers, which waits between two invocations.
// Nothing under this package imports Pulumi.
package streamer
