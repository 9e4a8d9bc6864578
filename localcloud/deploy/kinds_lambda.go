package deploy

import (
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

func lambdaKinds() []*kind {
	return []*kind{functionKind(), permissionKind(), asyncKind(), recursionKind()}
}

func functionKind() *kind {
	put := func(o *operation) (resource.PropertyMap, error) {
		spec := functionSpec(o.in)
		if v, ok := o.in.value("code"); ok {
			var err error
			if spec.Zip, err = zipped(v.ArchiveValue(), o.dir); err != nil {
				return nil, fmt.Errorf("put function %s: %w", spec.Name, err)
			}
		}
		info, err := o.cloud.Functions.PutFunction(spec)
		if err != nil {
			return nil, err
		}
		return functionOutputs(info), nil
	}
	return &kind{
		token:  "aws:lambda/function:Function",
		naming: naming{"name", 64},
		tagged: true,
		defaults: object(map[string]any{
			"memorySize": 128, "timeout": 3, "architectures": []any{"x86_64"}, "packageType": "Zip", "publish": false,
			"reservedConcurrentExecutions": -1, "ephemeralStorage": map[string]any{"size": 512},
			"tracingConfig": map[string]any{"mode": "PassThrough"}, "skipDestroy": false,
			"signingJobArn": "", "signingProfileVersionArn": "",
		}),
		replaces: []string{"name", "packageType"},
		volatile: []string{"codeSha256", "sourceCodeHash", "sourceCodeSize", "lastModified"},
		check:    checkFunction,
		create: func(o *operation) (string, resource.PropertyMap, error) {
			name := o.in.str("name")
			var out resource.PropertyMap
			err := o.notes.create("function", name, func() bool {
				_, ok := o.cloud.Functions.Function(name)
				return ok
			}, fmt.Errorf("create function %s: ResourceConflictException: Function already exist: %s", name, name), func() (err error) {
				out, err = put(o)
				return err
			})
			return name, out, err
		},
		update: put,
		remove: func(o *operation) error { return absentFunction(o.cloud.Functions.DeleteFunction(o.id)) },
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Functions.Function(o.id)
			return functionOutputs(info), ok
		},
	}
}

// absentFunction takes it for success that the function is gone already, and
// with it what belongs to it.
func absentFunction(err error) error {
	var notFound *lambda.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	return err
}

func functionOutputs(info lambda.FunctionInfo) resource.PropertyMap {
	logging := map[string]any{"logFormat": "Text", "logGroup": "/aws/lambda/" + info.Name}
	if info.Spec.LogFormat != "" {
		logging["logFormat"] = info.Spec.LogFormat
	}
	if info.Spec.LogGroup != "" {
		logging["logGroup"] = info.Spec.LogGroup
	}
	if info.Spec.LogLevel != "" {
		logging["applicationLogLevel"] = info.Spec.LogLevel
	}
	return object(map[string]any{
		"arn": info.ARN, "invokeArn": info.InvokeARN, "version": info.Version,
		"qualifiedArn":       info.ARN + ":" + info.Version,
		"qualifiedInvokeArn": "arn:aws:apigateway:" + account.Region + ":lambda:path/2015-03-31/functions/" + info.ARN + ":" + info.Version + "/invocations",
		"codeSha256":         info.CodeSHA256, "sourceCodeHash": info.CodeSHA256, "sourceCodeSize": int(info.CodeSize),
		"lastModified":  info.LastModified.UTC().Format("2006-01-02T15:04:05.000+0000"),
		"loggingConfig": logging,
	})
}

func checkFunction(r *reader) {
	r.require("role", "code", "handler", "runtime")
	if v, ok := r.value("code"); ok && !v.IsArchive() {
		r.reject("code", "must be an archive, is %s", v.TypeString())
	}
	r.only("packageType", "Zip")
	r.oneOf("runtime", "provided.al2023", "provided.al2")
	for _, key := range []string{"publish", "skipDestroy"} {
		if r.flag(key) {
			r.reject(key, "is not supported by the local cloud")
		}
	}
	r.refuse("vpcConfig", "it has no networks, so nothing would show what a function cannot reach from one")
	// The content of code decides; a key changes nothing locally.
	r.ignore("sourceCodeHash", "description", "ephemeralStorage", "kmsKeyArn")
	functionSpec(r)
}

func functionSpec(r *reader) lambda.FunctionSpec {
	spec := lambda.FunctionSpec{
		Name: r.str("name"), RoleName: iam.RoleName(r.str("role")), Handler: r.str("handler"), Runtime: r.str("runtime"),
		MemoryMB: r.integer("memorySize", 128, 10240), Timeout: time.Duration(r.integer("timeout", 1, 900)) * time.Second,
		Env: map[string]string{},
	}
	if list := r.strings("architectures"); len(list) == 1 {
		if spec.Architecture = list[0]; spec.Architecture != "arm64" && spec.Architecture != "x86_64" {
			r.reject("architectures[0]", "must be arm64 or x86_64, is %q", spec.Architecture)
		}
	} else if len(list) > 1 {
		r.reject("architectures", "must have one element")
	}
	r.object("environment", func(e *reader) { spec.Env = e.texts("variables") })
	if n := r.optional("reservedConcurrentExecutions", -1, 1<<31-1); n != nil && *n >= 0 {
		spec.Reserved = n
	}
	r.object("tracingConfig", func(t *reader) { spec.Tracing = t.oneOf("mode", "PassThrough", "Active") })
	r.object("loggingConfig", func(l *reader) {
		l.require("logFormat")
		spec.LogFormat, spec.LogGroup = l.oneOf("logFormat", "Text", "JSON"), l.str("logGroup")
		spec.LogLevel = l.oneOf("applicationLogLevel", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
		l.oneOf("systemLogLevel", "DEBUG", "INFO", "WARN")
		if spec.LogLevel != "" && spec.LogFormat != "JSON" {
			l.reject("applicationLogLevel", "needs the log format JSON")
		}
	})
	return spec
}

func permissionKind() *kind {
	token := "aws:lambda/permission:Permission"
	id := func(o *operation) string { return o.in.str("function") + "/" + o.in.str("statementId") }
	return &kind{
		token:  token,
		naming: naming{"statementId", 100},
		absent: map[string]string{"statementIdPrefix": "the input statementIdPrefix is refused: an id is given or made"},
		check: func(r *reader) {
			r.require("function", "action", "principal")
			r.only("sourceAccount", account.ID)
			permissionSpec(r)
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			if err := o.notes.add(token, id(o)); err != nil {
				return "", nil, err
			}
			err := o.cloud.Functions.PutPermission(o.in.str("function"), o.in.str("statementId"), permissionSpec(o.in))
			if err != nil {
				o.notes.remove(token, id(o))
			}
			return o.in.str("statementId"), nil, err
		},
		remove: func(o *operation) error {
			o.notes.remove(token, id(o))
			return absentFunction(o.cloud.Functions.DeletePermission(o.in.str("function"), o.in.str("statementId")))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			_, ok := o.cloud.Functions.Function(o.in.str("function"))
			return nil, ok && o.notes.has(token, id(o))
		},
	}
}

func permissionSpec(r *reader) lambda.PermissionSpec {
	r.str("function")
	r.str("statementId")
	return lambda.PermissionSpec{Action: r.str("action"), Principal: r.str("principal"), SourceARN: r.str("sourceArn")}
}

func asyncKind() *kind {
	token := "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
	put := func(o *operation) error {
		return o.cloud.Functions.PutAsyncConfig(o.in.str("functionName"), asyncSpec(o.in))
	}
	return &kind{
		token:    token,
		defaults: object(map[string]any{"maximumRetryAttempts": 2}),
		replaces: []string{"functionName", "qualifier"},
		check: func(r *reader) {
			r.require("functionName")
			r.str("functionName")
			r.only("qualifier", "$LATEST")
			asyncSpec(r)
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			id := o.in.str("functionName")
			if err := o.notes.add(token, id); err != nil {
				return "", nil, err
			}
			err := put(o)
			if err != nil {
				o.notes.remove(token, id)
			}
			return id, nil, err
		},
		update: func(o *operation) (resource.PropertyMap, error) { return nil, put(o) },
		remove: func(o *operation) error {
			o.notes.remove(token, o.id)
			return absentFunction(o.cloud.Functions.DeleteAsyncConfig(o.id))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			_, ok := o.cloud.Functions.Function(o.id)
			return nil, ok && o.notes.has(token, o.id)
		},
	}
}

func asyncSpec(r *reader) lambda.AsyncSpec {
	spec := lambda.AsyncSpec{
		MaxRetries: r.optional("maximumRetryAttempts", 0, 2),
		MaxAge:     time.Duration(r.integer("maximumEventAgeInSeconds", 60, 21600)) * time.Second,
	}
	r.object("destinationConfig", func(d *reader) {
		to := func(key string, arn *string) {
			d.object(key, func(t *reader) {
				t.require("destination")
				*arn = t.str("destination")
			})
		}
		to("onFailure", &spec.OnFailureARN)
		to("onSuccess", &spec.OnSuccessARN)
	})
	return spec
}

// recursionKind says what Lambda does when it finds a function invoking itself
// in circles. The local cloud does not look for circles.
func recursionKind() *kind {
	k := noted("aws:lambda/functionRecursionConfig:FunctionRecursionConfig", "functionName", nil)
	k.replaces = []string{"functionName"}
	k.check = func(r *reader) {
		r.require("functionName", "recursiveLoop")
		r.str("functionName")
		r.oneOf("recursiveLoop", "Allow", "Terminate")
	}
	return k
}
