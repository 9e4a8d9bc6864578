package deploy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
)

func schedulerKinds() []*kind {
	put := func(o *operation) (resource.PropertyMap, error) {
		info, err := o.cloud.Schedules.Put(scheduleSpec(o.in))
		return object(map[string]any{"arn": info.ARN}), err
	}
	return []*kind{{
		token:  "aws:scheduler/schedule:Schedule",
		naming: naming{"name", 64}, // AWS takes no more, pulumi-aws would make 255
		defaults: object(map[string]any{
			"groupName": "default", "state": "ENABLED", "scheduleExpressionTimezone": "UTC",
		}),
		replaces: []string{"name", "groupName"},
		absent:   map[string]string{"namePrefix": prefixReason},
		check:    func(r *reader) { scheduleSpec(r) },
		create: func(o *operation) (string, resource.PropertyMap, error) {
			name := o.in.str("name")
			var out resource.PropertyMap
			err := o.notes.create("schedule", name, func() bool {
				_, ok := o.cloud.Schedules.Schedule(name)
				return ok
			}, fmt.Errorf("create schedule %s: ConflictException: the schedule already exists", name), func() (err error) {
				out, err = put(o)
				return err
			})
			return o.in.str("groupName") + "/" + name, out, err
		},
		update: put,
		remove: func(o *operation) error {
			var notFound *scheduler.NotFound
			if err := o.cloud.Schedules.Delete(lastOf(o.id, "/")); !errors.As(err, &notFound) {
				return err
			}
			return nil
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Schedules.Schedule(lastOf(o.id, "/"))
			return object(map[string]any{"arn": info.ARN}), ok
		},
	}}
}

func scheduleSpec(r *reader) scheduler.ScheduleSpec {
	r.require("scheduleExpression", "flexibleTimeWindow", "target")
	r.only("groupName", "default")
	r.ignore("description", "kmsKeyArn")
	r.object("flexibleTimeWindow", func(w *reader) {
		w.require("mode")
		w.only("mode", "OFF")
	})
	spec := scheduler.ScheduleSpec{
		Name: r.str("name"), Group: r.str("groupName"), Expression: r.str("scheduleExpression"),
		TimeZone: r.str("scheduleExpressionTimezone"), Enabled: r.oneOf("state", "ENABLED", "DISABLED") == "ENABLED",
	}
	if e := spec.Expression; e != "" && !strings.HasPrefix(e, "rate(") && !strings.HasPrefix(e, "cron(") {
		r.reject("scheduleExpression", "must be rate(…) or cron(…), is %q", e)
	}
	r.object("target", func(t *reader) {
		t.require("arn", "roleArn")
		spec.TargetARN, spec.RoleName, spec.Input = t.str("arn"), t.str("roleArn"), t.str("input")
		t.object("retryPolicy", func(p *reader) {
			spec.MaxRetries = p.optional("maximumRetryAttempts", 0, 185)
			spec.MaxAge = time.Duration(p.integer("maximumEventAgeInSeconds", 60, 86400)) * time.Second
		})
	})
	return spec
}
