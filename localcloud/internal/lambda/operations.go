package lambda

import (
	"net/http"
	"strings"
)

// operations are those of the Lambda API, by path: * is a name in it. Most are
// not here, and are refused by their names.
// https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
var operations = map[string]map[string]string{ // by path, then method
	"/2014-11-13/functions/*/invoke-async":                     {"POST": "InvokeAsync"},
	"/2015-03-31/event-source-mappings":                        {"GET": "ListEventSourceMappings", "POST": "CreateEventSourceMapping"},
	"/2015-03-31/event-source-mappings/*":                      {"DELETE": "DeleteEventSourceMapping", "GET": "GetEventSourceMapping", "PUT": "UpdateEventSourceMapping"},
	"/2015-03-31/functions":                                    {"GET": "ListFunctions", "POST": "CreateFunction"},
	"/2015-03-31/functions/*":                                  {"DELETE": "DeleteFunction", "GET": "GetFunction"},
	"/2015-03-31/functions/*/aliases":                          {"GET": "ListAliases", "POST": "CreateAlias"},
	"/2015-03-31/functions/*/aliases/*":                        {"DELETE": "DeleteAlias", "GET": "GetAlias", "PUT": "UpdateAlias"},
	"/2015-03-31/functions/*/code":                             {"PUT": "UpdateFunctionCode"},
	"/2015-03-31/functions/*/configuration":                    {"GET": "GetFunctionConfiguration", "PUT": "UpdateFunctionConfiguration"},
	"/2015-03-31/functions/*/invocations":                      {"POST": "Invoke"},
	"/2015-03-31/functions/*/policy":                           {"GET": "GetPolicy", "POST": "AddPermission"},
	"/2015-03-31/functions/*/policy/*":                         {"DELETE": "RemovePermission"},
	"/2015-03-31/functions/*/versions":                         {"GET": "ListVersionsByFunction", "POST": "PublishVersion"},
	"/2016-08-19/account-settings":                             {"GET": "GetAccountSettings"},
	"/2017-03-31/tags/*":                                       {"DELETE": "UntagResource", "GET": "ListTags", "POST": "TagResource"},
	"/2017-10-31/functions/*/concurrency":                      {"DELETE": "DeleteFunctionConcurrency", "PUT": "PutFunctionConcurrency"},
	"/2018-10-31/layers":                                       {"GET": "ListLayers"},
	"/2018-10-31/layers/*/versions":                            {"GET": "ListLayerVersions", "POST": "PublishLayerVersion"},
	"/2018-10-31/layers/*/versions/*":                          {"DELETE": "DeleteLayerVersion", "GET": "GetLayerVersion"},
	"/2018-10-31/layers/*/versions/*/policy":                   {"GET": "GetLayerVersionPolicy", "POST": "AddLayerVersionPermission"},
	"/2018-10-31/layers/*/versions/*/policy/*":                 {"DELETE": "RemoveLayerVersionPermission"},
	"/2018-10-31/layers?find=LayerVersion":                     {"GET": "GetLayerVersionByArn"},
	"/2019-09-25/functions/*/event-invoke-config":              {"DELETE": "DeleteFunctionEventInvokeConfig", "GET": "GetFunctionEventInvokeConfig", "POST": "UpdateFunctionEventInvokeConfig", "PUT": "PutFunctionEventInvokeConfig"},
	"/2019-09-25/functions/*/event-invoke-config/list":         {"GET": "ListFunctionEventInvokeConfigs"},
	"/2019-09-30/functions/*/concurrency":                      {"GET": "GetFunctionConcurrency"},
	"/2019-09-30/functions/*/provisioned-concurrency":          {"DELETE": "DeleteProvisionedConcurrencyConfig", "GET": "GetProvisionedConcurrencyConfig", "PUT": "PutProvisionedConcurrencyConfig"},
	"/2019-09-30/functions/*/provisioned-concurrency?List=ALL": {"GET": "ListProvisionedConcurrencyConfigs"},
	"/2020-04-22/code-signing-configs":                         {"GET": "ListCodeSigningConfigs", "POST": "CreateCodeSigningConfig"},
	"/2020-04-22/code-signing-configs/*":                       {"DELETE": "DeleteCodeSigningConfig", "GET": "GetCodeSigningConfig", "PUT": "UpdateCodeSigningConfig"},
	"/2020-04-22/code-signing-configs/*/functions":             {"GET": "ListFunctionsByCodeSigningConfig"},
	"/2020-06-30/functions/*/code-signing-config":              {"DELETE": "DeleteFunctionCodeSigningConfig", "GET": "GetFunctionCodeSigningConfig", "PUT": "PutFunctionCodeSigningConfig"},
	"/2021-07-20/functions/*/runtime-management-config":        {"GET": "GetRuntimeManagementConfig", "PUT": "PutRuntimeManagementConfig"},
	"/2021-10-31/functions/*/url":                              {"DELETE": "DeleteFunctionUrlConfig", "GET": "GetFunctionUrlConfig", "POST": "CreateFunctionUrlConfig", "PUT": "UpdateFunctionUrlConfig"},
	"/2021-10-31/functions/*/urls":                             {"GET": "ListFunctionUrlConfigs"},
	"/2021-11-15/functions/*/response-streaming-invocations":   {"POST": "InvokeWithResponseStream"},
	"/2024-08-31/functions/*/recursion-config":                 {"GET": "GetFunctionRecursionConfig", "PUT": "PutFunctionRecursionConfig"},
	"/2025-11-30/capacity-providers":                           {"GET": "ListCapacityProviders", "POST": "CreateCapacityProvider"},
	"/2025-11-30/capacity-providers/*":                         {"DELETE": "DeleteCapacityProvider", "GET": "GetCapacityProvider", "PUT": "UpdateCapacityProvider"},
	"/2025-11-30/capacity-providers/*/function-versions":       {"GET": "ListFunctionVersionsByCapacityProvider"},
	"/2025-11-30/functions/*/function-scaling-config":          {"GET": "GetFunctionScalingConfig", "PUT": "PutFunctionScalingConfig"},
	"/2025-12-01/durable-execution-callbacks/*/fail":           {"POST": "SendDurableExecutionCallbackFailure"},
	"/2025-12-01/durable-execution-callbacks/*/heartbeat":      {"POST": "SendDurableExecutionCallbackHeartbeat"},
	"/2025-12-01/durable-execution-callbacks/*/succeed":        {"POST": "SendDurableExecutionCallbackSuccess"},
	"/2025-12-01/durable-executions/*":                         {"GET": "GetDurableExecution"},
	"/2025-12-01/durable-executions/*/checkpoint":              {"POST": "CheckpointDurableExecution"},
	"/2025-12-01/durable-executions/*/history":                 {"GET": "GetDurableExecutionHistory"},
	"/2025-12-01/durable-executions/*/state":                   {"GET": "GetDurableExecutionState"},
	"/2025-12-01/durable-executions/*/stop":                    {"POST": "StopDurableExecution"},
	"/2025-12-01/functions/*/durable-executions":               {"GET": "ListDurableExecutionsByFunction"},
	"/2026-07-09/resource-policy/*":                            {"DELETE": "DeleteResourcePolicy", "GET": "GetResourcePolicy", "PUT": "PutResourcePolicy"},
}

// operation is the name of what a request calls, "" for nothing that is known.
// parts are the segments of its path.
func operation(r *http.Request, parts []string) string {
	pattern := append([]string(nil), parts...)
	for i := 2; i < len(pattern); i += 2 {
		pattern[i] = "*"
	}
	path := "/" + strings.Join(pattern, "/")
	query := r.URL.Query()
	for _, name := range []string{"find", "List"} { // two share their path with others
		if query.Has(name) {
			path += "?" + name + "=" + query.Get(name)
		}
	}
	if strings.HasSuffix(r.URL.Path, "/event-invoke-config/list") {
		path = strings.TrimSuffix(path, "*") + "list"
	}
	return operations[path][r.Method]
}
