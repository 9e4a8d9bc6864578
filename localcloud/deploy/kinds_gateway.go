package deploy

import (
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func gatewayKinds() []*kind {
	return []*kind{
		apiKind(), routeKind(), routeResponseKind(), integrationKind(), authorizerKind(), deploymentKind(), stageKind(),
	}
}

func apiKind() *kind {
	return &kind{
		token:  "aws:apigatewayv2/api:Api",
		naming: naming{"name", 255},
		tagged: true,
		defaults: object(map[string]any{
			"apiKeySelectionExpression": "$request.header.x-api-key", "disableExecuteApiEndpoint": false, "ipAddressType": "ipv4",
		}),
		replaces: []string{"protocolType"},
		absent:   map[string]string{},
		check: func(r *reader) {
			r.require("protocolType", "routeSelectionExpression")
			r.only("protocolType", "WEBSOCKET")
			r.only("apiKeySelectionExpression", "$request.header.x-api-key")
			if r.flag("disableExecuteApiEndpoint") {
				r.reject("disableExecuteApiEndpoint", "is not supported by the local cloud: it has no custom domains")
			}
			r.ignore("description", "version", "ipAddressType")
			apiSpec(r, "")
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			info, err := o.cloud.Gateway.PutAPI(apiSpec(o.in, ""))
			return info.ID, apiOutputs(info), err
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			info, err := o.cloud.Gateway.PutAPI(apiSpec(o.in, o.id))
			return apiOutputs(info), err
		},
		remove: func(o *operation) error { return present(o.cloud.Gateway.DeleteAPI(o.id)) },
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Gateway.API(o.id)
			return apiOutputs(info), ok
		},
	}
}

func apiSpec(r *reader, id string) gateway.APISpec {
	return gateway.APISpec{ID: id, Name: r.str("name"), RouteSelectionExpression: r.str("routeSelectionExpression")}
}

func apiOutputs(info gateway.APIInfo) resource.PropertyMap {
	return object(map[string]any{
		"apiEndpoint": info.Endpoint, "executionArn": info.ExecutionARN, "arn": info.ARN,
	})
}

// present takes it for success that what is to be deleted does not exist.
func present(err error) error {
	if errors.Is(err, gateway.ErrNotFound) {
		return nil
	}
	return err
}

// apiPart is a kind that is part of an API and has an id of its own in it.
func apiPart(k kind, put func(g webSockets, api, id string, r *reader) (string, error), remove func(g webSockets, api, id string) error, outputs func(*reader) resource.PropertyMap) *kind {
	if outputs == nil {
		outputs = func(*reader) resource.PropertyMap { return nil }
	}
	check := k.check
	k.check = func(r *reader) {
		r.require("apiId")
		r.str("apiId")
		check(r)
	}
	k.replaces = append(k.replaces, "apiId")
	k.create = func(o *operation) (string, resource.PropertyMap, error) {
		id, err := put(o.cloud.Gateway, o.in.str("apiId"), "", o.in)
		if err == nil {
			err = o.notes.add(k.token, o.in.str("apiId")+"/"+id)
		}
		return id, outputs(o.in), err
	}
	k.update = func(o *operation) (resource.PropertyMap, error) {
		_, err := put(o.cloud.Gateway, o.in.str("apiId"), o.id, o.in)
		return outputs(o.in), err
	}
	k.remove = func(o *operation) error {
		o.notes.remove(k.token, o.in.str("apiId")+"/"+o.id)
		return present(remove(o.cloud.Gateway, o.in.str("apiId"), o.id))
	}
	k.read = func(o *operation) (resource.PropertyMap, bool) {
		_, ok := o.cloud.Gateway.API(o.in.str("apiId"))
		return outputs(o.in), ok && o.notes.has(k.token, o.in.str("apiId")+"/"+o.id)
	}
	return &k
}

func routeKind() *kind {
	spec := func(r *reader) gateway.RouteSpec {
		return gateway.RouteSpec{
			Key: r.str("routeKey"), Target: r.str("target"),
			AuthorizationType: r.oneOf("authorizationType", "NONE", "CUSTOM", "AWS_IAM"), AuthorizerID: r.str("authorizerId"),
			RouteResponseSelectionExpression: r.str("routeResponseSelectionExpression"),
		}
	}
	return apiPart(kind{
		token:    "aws:apigatewayv2/route:Route",
		defaults: object(map[string]any{"authorizationType": "NONE", "apiKeyRequired": false}),
		check: func(r *reader) {
			r.require("routeKey")
			if r.flag("apiKeyRequired") {
				r.reject("apiKeyRequired", "is not supported by the local cloud: it has no API keys")
			}
			r.ignore("operationName")
			if spec(r).AuthorizationType == "CUSTOM" {
				r.require("authorizerId")
			}
			r.only("routeResponseSelectionExpression", "$default")
		},
	}, func(g webSockets, api, id string, r *reader) (string, error) { return g.PutRoute(api, id, spec(r)) }, webSockets.DeleteRoute, nil)
}

func routeResponseKind() *kind {
	return apiPart(kind{
		token:    "aws:apigatewayv2/routeResponse:RouteResponse",
		replaces: []string{"routeId"},
		check: func(r *reader) {
			r.require("routeId", "routeResponseKey")
			r.str("routeId")
			r.only("routeResponseKey", "$default")
		},
	}, func(g webSockets, api, id string, r *reader) (string, error) {
		return g.PutRouteResponse(api, id, gateway.RouteResponseSpec{RouteID: r.str("routeId"), Key: r.str("routeResponseKey")})
	}, webSockets.DeleteRouteResponse, nil)
}

func integrationKind() *kind {
	return apiPart(kind{
		token:    "aws:apigatewayv2/integration:Integration",
		defaults: object(map[string]any{"connectionType": "INTERNET", "payloadFormatVersion": "1.0", "timeoutMilliseconds": 29000}),
		replaces: []string{"integrationType"},
		check: func(r *reader) {
			r.require("integrationType", "integrationUri")
			r.only("integrationType", "AWS_PROXY")
			r.only("connectionType", "INTERNET")
			r.only("payloadFormatVersion", "1.0")
			r.only("integrationMethod", "POST")
			r.str("integrationUri")
			r.integer("timeoutMilliseconds", 50, 29000)
			r.only("contentHandlingStrategy", "CONVERT_TO_TEXT")
			// A proxy integration passes messages through as they are.
			r.ignore("description", "passthroughBehavior")
		},
	}, func(g webSockets, api, id string, r *reader) (string, error) {
		return g.PutIntegration(api, id, gateway.IntegrationSpec{
			Type: r.str("integrationType"), URI: r.str("integrationUri"),
			Timeout: time.Duration(r.integer("timeoutMilliseconds", 50, 29000)) * time.Millisecond,
		})
	}, webSockets.DeleteIntegration, func(*reader) resource.PropertyMap {
		return object(map[string]any{"integrationResponseSelectionExpression": "${integration.response.statuscode}"})
	})
}

func authorizerKind() *kind {
	k := apiPart(kind{
		token:  "aws:apigatewayv2/authorizer:Authorizer",
		naming: naming{"name", 255},
		absent: map[string]string{"authorizerResultTtlInSeconds": "exists for HTTP APIs only"},
		check: func(r *reader) {
			r.require("authorizerType", "authorizerUri")
			r.only("authorizerType", "REQUEST")
			r.str("authorizerUri")
			r.str("name")
			r.strings("identitySources")
		},
	}, func(g webSockets, api, id string, r *reader) (string, error) {
		return g.PutAuthorizer(api, id, gateway.AuthorizerSpec{
			Name: r.str("name"), Type: r.str("authorizerType"), URI: r.str("authorizerUri"),
			IdentitySources: r.strings("identitySources"),
		})
	}, webSockets.DeleteAuthorizer, nil)
	return k
}

func deploymentKind() *kind {
	return apiPart(kind{
		token:    "aws:apigatewayv2/deployment:Deployment",
		replaces: []string{"triggers"},
		check: func(r *reader) {
			r.str("description")
			r.texts("triggers")
		},
	}, func(g webSockets, api, id string, _ *reader) (string, error) {
		return g.PutDeployment(api, id)
	}, webSockets.DeleteDeployment, func(*reader) resource.PropertyMap {
		return object(map[string]any{"autoDeployed": false})
	})
}

func stageKind() *kind {
	put := func(o *operation) (resource.PropertyMap, error) {
		api := o.in.str("apiId")
		info, ok := o.cloud.Gateway.API(api)
		if !ok {
			return nil, fmt.Errorf("put stage of api %s: the API does not exist", api)
		}
		spec := stageSpec(o.in)
		return stageOutputs(info, spec), o.cloud.Gateway.PutStage(api, spec)
	}
	token := "aws:apigatewayv2/stage:Stage"
	return &kind{
		token:    token,
		naming:   naming{"name", 128}, // API Gateway takes no more, pulumi-aws would make 255
		tagged:   true,
		defaults: object(map[string]any{"autoDeploy": false}),
		replaces: []string{"apiId", "name"},
		check: func(r *reader) {
			r.require("apiId")
			r.str("apiId")
			r.ignore("description")
			r.refuse("accessLogSettings", "it writes no access logs")
			if spec := stageSpec(r); spec.AutoDeploy && spec.DeploymentID != "" {
				r.reject("autoDeploy", "excludes deploymentId")
			}
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			name := o.in.str("name")
			if err := o.notes.add(token, o.in.str("apiId")+"/"+name); err != nil {
				return "", nil, err
			}
			out, err := put(o)
			if err != nil {
				o.notes.remove(token, o.in.str("apiId")+"/"+name)
			}
			return name, out, err
		},
		update: put,
		remove: func(o *operation) error {
			o.notes.remove(token, o.in.str("apiId")+"/"+o.id)
			return present(o.cloud.Gateway.DeleteStage(o.in.str("apiId"), o.id))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Gateway.API(o.in.str("apiId"))
			return stageOutputs(info, stageSpec(o.in)), ok && o.notes.has(token, o.in.str("apiId")+"/"+o.id)
		},
	}
}

func stageOutputs(info gateway.APIInfo, spec gateway.StageSpec) resource.PropertyMap {
	return object(map[string]any{
		"arn":          "arn:aws:apigateway:" + account.Region + "::/apis/" + info.ID + "/stages/" + spec.Name,
		"executionArn": info.ExecutionARN + "/" + spec.Name,
		"invokeUrl":    info.Endpoint + "/" + spec.Name,
		"deploymentId": spec.DeploymentID,
	})
}

const noExecutionLogs = "it writes no execution logs"

func stageSpec(r *reader) gateway.StageSpec {
	spec := gateway.StageSpec{
		Name: r.str("name"), DeploymentID: r.str("deploymentId"), AutoDeploy: r.flag("autoDeploy"),
		Variables: r.texts("stageVariables"), RouteThrottles: map[string]gateway.Throttle{},
	}
	throttle := func(s *reader) gateway.Throttle {
		s.ignore("detailedMetricsEnabled")
		// On AWS both also need a role in the settings of the whole account.
		if s.flag("dataTraceEnabled") {
			s.reject("dataTraceEnabled", "is not supported by the local cloud: %s", noExecutionLogs)
		}
		if level := s.oneOf("loggingLevel", "OFF", "ERROR", "INFO"); level == "ERROR" || level == "INFO" {
			s.reject("loggingLevel", "%s is not supported by the local cloud: %s", level, noExecutionLogs)
		}
		return gateway.Throttle{Rate: s.float("throttlingRateLimit"), Burst: s.integer("throttlingBurstLimit", 0, 1<<31-1)}
	}
	r.object("defaultRouteSettings", func(s *reader) { spec.Throttle = throttle(s) })
	r.objects("routeSettings", func(s *reader) {
		s.require("routeKey")
		spec.RouteThrottles[s.str("routeKey")] = throttle(s)
	})
	return spec
}
