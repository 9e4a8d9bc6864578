package lambda

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

// functionConfiguration is FunctionConfiguration of the Lambda API, as far as
// the local cloud has values for it.
type functionConfiguration struct {
	Architectures    []string
	CodeSha256       string
	CodeSize         int64
	Description      string
	Environment      *environmentResponse `json:",omitempty"`
	FunctionArn      string
	FunctionName     string
	Handler          string
	LastModified     string
	LastUpdateStatus string
	LoggingConfig    loggingConfig
	MemorySize       int
	PackageType      string
	Role             string
	Runtime          string `json:",omitempty"`
	State            string
	Timeout          int
	TracingConfig    struct{ Mode string }
	Version          string
}

type environmentResponse struct{ Variables map[string]string }

type loggingConfig struct{ LogFormat, LogGroup string }

func configuration(info FunctionInfo) functionConfiguration {
	spec := info.Spec
	c := functionConfiguration{
		Architectures: []string{spec.Architecture}, CodeSha256: info.CodeSHA256, CodeSize: info.CodeSize,
		FunctionArn: info.ARN, FunctionName: info.Name, Handler: spec.Handler,
		LastModified:     info.LastModified.UTC().Format("2006-01-02T15:04:05.000+0000"),
		LastUpdateStatus: "Successful", LoggingConfig: loggingConfig{"Text", spec.LogGroup},
		MemorySize: spec.MemoryMB, PackageType: "Zip", Role: info.RoleARN, Runtime: spec.Runtime,
		State: "Active", Timeout: int(spec.Timeout / time.Second), Version: info.Version,
	}
	if spec.LogFormat != "" {
		c.LoggingConfig.LogFormat = spec.LogFormat
	}
	if len(spec.Env) > 0 {
		c.Environment = &environmentResponse{spec.Env}
	}
	if c.TracingConfig.Mode = spec.Tracing; spec.Tracing == "" {
		c.TracingConfig.Mode = "PassThrough"
	}
	return c
}

// serveFunction answers GetFunction (whole) and GetFunctionConfiguration.
func (s *Service) serveFunction(w http.ResponseWriter, r *http.Request, ref string, whole bool) {
	name, _ := splitReference(ref)
	action := "lambda:GetFunctionConfiguration"
	if whole {
		action = "lambda:GetFunction"
	}
	if err := s.authorize(r.Context(), action, FunctionARN(name)); err != nil {
		writeError(w, err)
		return
	}
	info, ok := s.Function(ref)
	if !ok {
		writeError(w, &NotFound{Resource: FunctionARN(name)})
		return
	}
	if !whole {
		writeJSON(w, configuration(info))
		return
	}
	out := map[string]any{"Configuration": configuration(info), "Code": map[string]string{"RepositoryType": "S3"}}
	if n := info.Spec.Reserved; n != nil {
		out["Concurrency"] = map[string]int{"ReservedConcurrentExecutions": *n}
	}
	writeJSON(w, out)
}

// serveFunctions answers ListFunctions in pages of MaxItems (50 at most).
func (s *Service) serveFunctions(w http.ResponseWriter, r *http.Request) {
	if err := s.authorize(r.Context(), "lambda:ListFunctions", "*"); err != nil {
		writeError(w, err)
		return
	}
	q := r.URL.Query()
	limit := 50
	if n, err := strconv.Atoi(q.Get("MaxItems")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	all := []functionConfiguration{}
	out := map[string]any{}
	for _, info := range s.Functions() {
		if info.Name <= q.Get("Marker") {
			continue
		}
		if len(all) == limit {
			out["NextMarker"] = all[limit-1].FunctionName
			break
		}
		all = append(all, configuration(info))
	}
	out["Functions"] = all
	writeJSON(w, out)
}

// mappingConfiguration is EventSourceMappingConfiguration of the Lambda API.
type mappingConfiguration struct {
	UUID                           string
	EventSourceMappingArn          string
	EventSourceArn                 string
	FunctionArn                    string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	LastModified                   float64 // epoch seconds
	LastProcessingResult           string
	State                          string
	StateTransitionReason          string
	FunctionResponseTypes          []string
	FilterCriteria                 json.RawMessage `json:",omitempty"`
	ScalingConfig                  map[string]int  `json:",omitempty"`

	StartingPosition           string         `json:",omitempty"`
	ParallelizationFactor      *int           `json:",omitempty"`
	MaximumRecordAgeInSeconds  *int           `json:",omitempty"`
	MaximumRetryAttempts       *int           `json:",omitempty"`
	BisectBatchOnFunctionError *bool          `json:",omitempty"`
	TumblingWindowInSeconds    *int           `json:",omitempty"`
	DestinationConfig          map[string]any `json:",omitempty"`
}

func mappingWire(m MappingInfo) mappingConfiguration {
	c := mappingConfiguration{
		UUID: m.ID, EventSourceMappingArn: m.ARN, EventSourceArn: m.SourceARN, FunctionArn: m.FunctionARN,
		BatchSize: m.BatchSize, MaximumBatchingWindowInSeconds: int(m.Window / time.Second),
		LastModified: float64(m.LastModified.UnixMilli()) / 1000, LastProcessingResult: m.LastResult,
		State: m.State, StateTransitionReason: "User action", FunctionResponseTypes: []string{},
	}
	if m.ReportItemFailures {
		c.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
	}
	if len(m.Filters) > 0 {
		type pattern struct{ Pattern string }
		var list struct{ Filters []pattern }
		for _, p := range m.Filters {
			list.Filters = append(list.Filters, pattern{p})
		}
		c.FilterCriteria, _ = json.Marshal(list)
	}
	if m.MaxConcurrency > 0 {
		c.ScalingConfig = map[string]int{"MaximumConcurrency": m.MaxConcurrency}
	}
	if m.StartingPosition == "" {
		return c
	}
	age, retries, tumbling := -1, -1, 0
	if m.MaxAge > 0 {
		age = int(m.MaxAge / time.Second)
	}
	if m.MaxRetries != nil {
		retries = *m.MaxRetries
	}
	c.StartingPosition = m.StartingPosition
	c.ParallelizationFactor, c.MaximumRecordAgeInSeconds, c.MaximumRetryAttempts = &m.Parallelization, &age, &retries
	c.BisectBatchOnFunctionError, c.TumblingWindowInSeconds = &m.Bisect, &tumbling
	c.DestinationConfig = map[string]any{"OnFailure": map[string]string{}}
	if m.OnFailureARN != "" {
		c.DestinationConfig["OnFailure"] = map[string]string{"Destination": m.OnFailureARN}
	}
	return c
}

// serveMappings answers ListEventSourceMappings, by function and source.
func (s *Service) serveMappings(w http.ResponseWriter, r *http.Request) {
	if err := s.authorize(r.Context(), "lambda:ListEventSourceMappings", "*"); err != nil {
		writeError(w, err)
		return
	}
	q := r.URL.Query()
	function, _ := splitReference(q.Get("FunctionName"))
	if function != "" {
		if _, ok := s.Function(function); !ok {
			writeError(w, &NotFound{Resource: FunctionARN(function)})
			return
		}
	}
	limit := 100
	if n, err := strconv.Atoi(q.Get("MaxItems")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	all := []mappingConfiguration{}
	out := map[string]any{}
	for _, m := range s.Mappings() {
		if m.ID <= q.Get("Marker") || function != "" && m.Function != function ||
			q.Get("EventSourceArn") != "" && m.SourceARN != q.Get("EventSourceArn") {
			continue
		}
		if len(all) == limit {
			out["NextMarker"] = all[limit-1].UUID
			break
		}
		all = append(all, mappingWire(m))
	}
	out["EventSourceMappings"] = all
	writeJSON(w, out)
}

func (s *Service) serveMapping(w http.ResponseWriter, r *http.Request, id string) {
	arn := "arn:aws:lambda:" + account.Region + ":" + account.ID + ":event-source-mapping:" + id
	if err := s.authorize(r.Context(), "lambda:GetEventSourceMapping", arn); err != nil {
		writeError(w, err)
		return
	}
	m, ok := s.Mapping(id)
	if !ok {
		writeError(w, &eventsource.NotFound{ID: id})
		return
	}
	writeJSON(w, mappingWire(m))
}
