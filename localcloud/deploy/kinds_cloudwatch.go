package deploy

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// cloudwatchKinds are kept by their declaration: the local cloud has no metrics
// store, and what functions log is given to its host line by line.
func cloudwatchKinds() []*kind { return []*kind{logGroupKind(), alarmKind(), dashboardKind()} }

// noted is a kind that exists by its declaration alone; outputs are computed
// from its id, which is the input property.
func noted(token, property string, outputs func(id string) resource.PropertyMap) *kind {
	if outputs == nil {
		outputs = func(string) resource.PropertyMap { return nil }
	}
	return &kind{
		token: token,
		create: func(o *operation) (string, resource.PropertyMap, error) {
			id := o.in.str(property)
			return id, outputs(id), o.notes.add(token, id)
		},
		update: func(o *operation) (resource.PropertyMap, error) { return outputs(o.id), nil },
		remove: func(o *operation) error {
			o.notes.remove(token, o.id)
			return nil
		},
		read: func(o *operation) (resource.PropertyMap, bool) { return outputs(o.id), o.notes.has(token, o.id) },
	}
}

func logGroupKind() *kind {
	k := noted("aws:cloudwatch/logGroup:LogGroup", "name", func(id string) resource.PropertyMap {
		return object(map[string]any{"arn": arnOf("logs", "log-group:"+id)})
	})
	k.naming, k.tagged = naming{"name", 255}, true
	k.replaces = []string{"name", "logGroupClass"}
	k.defaults = object(map[string]any{"retentionInDays": 0, "skipDestroy": false, "logGroupClass": "STANDARD"})
	k.absent = map[string]string{"namePrefix": prefixReason}
	k.check = func(r *reader) {
		r.str("name")
		r.ignore("kmsKeyId")
		r.oneOf("logGroupClass", "STANDARD", "INFREQUENT_ACCESS")
		if r.flag("skipDestroy") {
			r.reject("skipDestroy", "is not supported by the local cloud")
		}
		// The values of PutRetentionPolicy (CloudWatch Logs API reference).
		days := []int{
			0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
		}
		if n := r.integer("retentionInDays", 0, 3653); !slices.Contains(days, n) {
			r.reject("retentionInDays", "must be one of %v, is %d", days, n)
		}
	}
	return k
}

func alarmKind() *kind {
	k := noted("aws:cloudwatch/metricAlarm:MetricAlarm", "name", func(id string) resource.PropertyMap {
		return object(map[string]any{"arn": arnOf("cloudwatch", "alarm:"+id)})
	})
	k.naming, k.tagged = naming{"name", 255}, true
	k.replaces = []string{"name"}
	k.defaults = object(map[string]any{
		"actionsEnabled": true, "treatMissingData": "missing", "evaluateLowSampleCountPercentiles": "",
	})
	k.check = func(r *reader) {
		r.require("comparisonOperator", "evaluationPeriods")
		r.oneOf("comparisonOperator", "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
			"LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
		r.oneOf("treatMissingData", "missing", "ignore", "breaching", "notBreaching")
		r.integer("evaluationPeriods", 1, 1<<31-1)
		r.integer("datapointsToAlarm", 0, 1<<31-1)
		r.integer("period", 0, 86400)
		r.float("threshold")
		r.flag("actionsEnabled")
		r.texts("dimensions")
		for _, key := range []string{"name", "metricName", "namespace", "statistic", "extendedStatistic", "unit", "alarmDescription", "thresholdMetricId"} {
			r.str(key)
		}
		for _, key := range []string{"alarmActions", "okActions", "insufficientDataActions"} {
			r.strings(key)
		}
		r.list("metricQueries")
		r.ignore("evaluateLowSampleCountPercentiles")
		if r.given("metricName") == r.given("metricQueries") {
			r.reject("metricName", "must be given, or metricQueries, and not both")
		}
	}
	return k
}

func dashboardKind() *kind {
	k := noted("aws:cloudwatch/dashboard:Dashboard", "dashboardName", func(id string) resource.PropertyMap {
		return object(map[string]any{"dashboardArn": "arn:aws:cloudwatch::000000000000:dashboard/" + id})
	})
	k.replaces = []string{"dashboardName"}
	k.check = func(r *reader) {
		r.require("dashboardName", "dashboardBody")
		r.str("dashboardName")
		r.document("dashboardBody")
	}
	return k
}
