package deploy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

func mappingKinds() []*kind {
	other := "belongs to event sources that the local cloud does not have"
	return []*kind{{
		token:    "aws:lambda/eventSourceMapping:EventSourceMapping",
		tagged:   true,
		defaults: object(map[string]any{"enabled": true}),
		replaces: []string{"eventSourceArn", "startingPosition"},
		volatile: []string{"state", "lastModified", "lastProcessingResult"},
		absent: map[string]string{
			"amazonManagedKafkaEventSourceConfig": other, "selfManagedKafkaEventSourceConfig": other,
		},
		check: checkMapping,
		create: func(o *operation) (string, resource.PropertyMap, error) {
			spec := mappingSpec(o.in)
			spec.ID = randomID()
			out, err := putMapping(o, spec)
			return spec.ID, out, err
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			spec := mappingSpec(o.in)
			spec.ID = o.id
			return putMapping(o, spec)
		},
		remove: func(o *operation) error {
			var notFound *eventsource.NotFound
			if err := o.cloud.Functions.DeleteMapping(o.id); !errors.As(err, &notFound) {
				return err
			}
			return nil
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Functions.Mapping(o.id)
			return mappingOutputs(info), ok
		},
	}}
}

func isStream(arn string) bool { return strings.HasPrefix(arn, "arn:aws:dynamodb:") }

func checkMapping(r *reader) {
	r.require("eventSourceArn", "functionName")
	spec := mappingSpec(r)
	switch {
	case spec.SourceARN == "": // not known yet
	case isStream(spec.SourceARN):
		r.require("startingPosition")
		if r.given("scalingConfig") {
			r.reject("scalingConfig", "is for queues only")
		}
	case strings.HasPrefix(spec.SourceARN, "arn:aws:sqs:"):
		for _, key := range []string{
			"startingPosition", "parallelizationFactor", "maximumRetryAttempts", "maximumRecordAgeInSeconds",
			"bisectBatchOnFunctionError", "destinationConfig",
		} {
			if r.given(key) {
				r.reject(key, "is for streams only")
			}
		}
	default:
		r.reject("eventSourceArn", "must be the ARN of a DynamoDB stream or an SQS queue, is %q", spec.SourceARN)
	}
	if n := r.optional("tumblingWindowInSeconds", 0, 900); n != nil && *n != 0 {
		r.reject("tumblingWindowInSeconds", "is not supported by the local cloud")
	}
}

func mappingSpec(r *reader) lambda.MappingSpec {
	spec := lambda.MappingSpec{
		SourceARN: r.str("eventSourceArn"), Function: r.str("functionName"),
		BatchSize:        r.integer("batchSize", 1, 10000),
		Window:           time.Duration(r.integer("maximumBatchingWindowInSeconds", 0, 300)) * time.Second,
		Parallelization:  r.integer("parallelizationFactor", 1, 10),
		StartingPosition: r.oneOf("startingPosition", "TRIM_HORIZON", "LATEST"),
		Bisect:           r.flag("bisectBatchOnFunctionError"),
		Enabled:          r.flag("enabled"),
	}
	if n := r.optional("maximumRetryAttempts", -1, 10000); n != nil && *n >= 0 {
		spec.MaxRetries = n
	}
	if n := r.optional("maximumRecordAgeInSeconds", -1, 604800); n != nil && *n >= 0 {
		if *n < 60 {
			r.reject("maximumRecordAgeInSeconds", "must be -1, or from 60 to 604800, is %d", *n)
		}
		spec.MaxAge = time.Duration(*n) * time.Second
	}
	for i, kind := range r.strings("functionResponseTypes") {
		if kind != "ReportBatchItemFailures" {
			r.reject(fmt.Sprintf("functionResponseTypes[%d]", i), "must be ReportBatchItemFailures, is %q", kind)
		}
		spec.ReportItemFailures = true
	}
	r.object("filterCriteria", func(f *reader) {
		f.objects("filters", func(p *reader) { spec.Filters = append(spec.Filters, p.document("pattern")) })
	})
	r.object("destinationConfig", func(d *reader) {
		d.object("onFailure", func(t *reader) {
			t.require("destinationArn")
			spec.OnFailureARN = t.str("destinationArn")
		})
	})
	r.object("scalingConfig", func(s *reader) { spec.MaxConcurrency = s.integer("maximumConcurrency", 2, 1000) })
	return spec
}

func putMapping(o *operation, spec lambda.MappingSpec) (resource.PropertyMap, error) {
	info, err := o.cloud.Functions.PutMapping(spec)
	if err != nil {
		return nil, err
	}
	return mappingOutputs(info), nil
}

func mappingOutputs(info lambda.MappingInfo) resource.PropertyMap {
	out := map[string]any{
		"uuid": info.ID, "arn": info.ARN, "functionArn": info.FunctionARN, "state": info.State,
		"stateTransitionReason": "USER_INITIATED", "lastProcessingResult": info.LastResult,
		"lastModified": info.LastModified.UTC().Format(time.RFC3339),
		"batchSize":    info.BatchSize,
		// What only streams have is zero for queues, as the provider reads it.
		"parallelizationFactor": 0, "maximumRetryAttempts": 0, "maximumRecordAgeInSeconds": 0,
	}
	if isStream(info.SourceARN) {
		out["parallelizationFactor"] = max(info.Parallelization, 1)
		out["maximumRetryAttempts"], out["maximumRecordAgeInSeconds"] = -1, -1
		if info.MaxRetries != nil {
			out["maximumRetryAttempts"] = *info.MaxRetries
		}
		if info.MaxAge > 0 {
			out["maximumRecordAgeInSeconds"] = int(info.MaxAge.Seconds())
		}
	}
	return object(out)
}
