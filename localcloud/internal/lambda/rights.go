package lambda

import (
	"context"
	"errors"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// logAccess is whether a version of a function may write to its log group.
type logAccess struct {
	changes uint64 // as of which change of rights
	denied  error  // nil when it may
}

// mayLog says whether what a version of a function writes reaches its log
// group. Without the right it is lost, as on AWS, where nobody is told: here a
// problem says so, once. The right is checked once for each version of the
// function and change of rights, for this is asked for every line.
func (s *Service) mayLog(g *generation, stream string) bool {
	if s.opts.Authorizer == nil {
		return true
	}
	var changes uint64
	if s.opts.Changes != nil {
		changes = s.opts.Changes()
	}
	if known := g.logs.Load(); known != nil && known.changes == changes {
		return known.denied == nil
	}
	spec := &g.info.Spec
	err := s.checkLog(spec, stream)
	g.logs.Store(&logAccess{changes, err})
	var denied *account.Denied
	lost := ""
	if errors.As(err, &denied) {
		lost = denied.Action + " " + spec.RoleName + " " + spec.LogGroup
	}
	s.mu.Lock()
	fresh := lost != g.fn.logLost
	g.fn.logLost = lost
	s.mu.Unlock()
	if fresh && err != nil {
		s.problem(spec.Name, "PROBLEM: what the function logs is lost: AccessDeniedException: "+err.Error())
	}
	return err == nil
}

// checkLog asks for the rights that writing to a log stream takes. Both are
// about the stream (https://github.com/aws-solutions/aws-crr-monitor/issues/8).
func (s *Service) checkLog(spec *FunctionSpec, stream string) error {
	arn := "arn:aws:logs:" + account.Region + ":" + account.ID + ":log-group:" + spec.LogGroup + ":log-stream:" + stream
	ctx := asRole(context.Background(), spec)
	for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
		if err := s.authorize(ctx, action, arn); err != nil {
			return err
		}
	}
	return nil
}

// checkRole refuses a function whose role Lambda cannot assume, or which is to
// be traced without the right to be. The text about X-Ray is that of
// https://github.com/serverless/serverless/issues/6931.
func (s *Service) checkRole(spec *FunctionSpec) error {
	if s.opts.Assumable != nil {
		if err := s.opts.Assumable(spec.RoleName, FunctionARN(spec.Name)); err != nil {
			return invalid("The role defined for the function cannot be assumed by Lambda. (function %s: %v)", spec.Name, err)
		}
	}
	if spec.Tracing != "Active" {
		return nil
	}
	if err := s.authorize(asRole(context.Background(), spec), "xray:PutTraceSegments", "*"); err != nil {
		return invalid("The provided execution role does not have permissions to call PutTraceSegments on XRAY (%v)", err)
	}
	return nil
}

// checkDestinations refuses destinations of asynchronous events that the
// function's role may not send to, or that are not there.
func (s *Service) checkDestinations(spec *FunctionSpec, arns ...string) error {
	for _, arn := range arns {
		if arn == "" {
			continue
		}
		if err := s.authorize(asRole(context.Background(), spec), "sqs:SendMessage", arn); err != nil {
			return invalid("The function's execution role does not have permissions to call SendMessage on %s (%v)", arn, err)
		}
		if s.opts.Queues == nil {
			continue
		}
		if _, ok := s.opts.Queues.VisibilityTimeout(arn); !ok {
			return invalid("destination %s of function %s: the specified queue does not exist", arn, spec.Name)
		}
	}
	return nil
}

// asRole returns a context that carries the caller that the function is.
func asRole(ctx context.Context, spec *FunctionSpec) context.Context {
	return account.WithCaller(ctx, account.AssumedRole(spec.RoleName, spec.Name))
}

// problem tells what goes wrong around a function.
func (s *Service) problem(function, line string) {
	if s.opts.Problem != nil {
		s.opts.Problem(function, line)
	}
}
