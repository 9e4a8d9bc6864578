package lambda

import (
	"context"

	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

type (
	// MappingSpec describes an event source mapping.
	MappingSpec = eventsource.Spec
	// MappingInfo is one as AWS shows it.
	MappingInfo = eventsource.Info
)

// PutMapping creates an event source mapping, or changes the one with the same
// ID, which goes on where it was. Its polls act with the rights of the
// function's role. Without them it is refused; when they are lost afterwards
// the mapping says so in LastResult and as a problem, and tries again. Errors:
// *eventsource.Invalid, *eventsource.Conflict.
func (s *Service) PutMapping(spec MappingSpec) (MappingInfo, error) { return s.mappings.Put(spec) }

// DeleteMapping stops and removes a mapping. Error: *eventsource.NotFound.
func (s *Service) DeleteMapping(id string) error { return s.mappings.Delete(id) }

// Mapping returns a mapping; ok is false for none.
func (s *Service) Mapping(id string) (info MappingInfo, ok bool) { return s.mappings.Mapping(id) }

// Mappings returns all mappings, by ID.
func (s *Service) Mappings() []MappingInfo { return s.mappings.Mappings() }

func (s *Service) invokeForMapping(ctx context.Context, function string, payload []byte) (eventsource.Result, error) {
	res, err := s.invoke(ctx, function, event{id: newUUID(), trace: newTrace(), payload: payload})
	if err != nil {
		return eventsource.Result{}, err
	}
	return eventsource.Result{
		RequestID: res.RequestID, ExecutedVersion: res.ExecutedVersion, Payload: res.Payload, FunctionError: res.FunctionError,
	}, nil
}

func (s *Service) functionForMapping(ref string) (eventsource.Function, bool) {
	info, ok := s.Function(ref)
	return eventsource.Function{Name: info.Name, ARN: info.ARN, Role: info.Spec.RoleName, Timeout: info.Spec.Timeout}, ok
}
