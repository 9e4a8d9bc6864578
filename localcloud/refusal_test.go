package localcloud_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud"
)

// A callback that is signed wrongly is refused with AWS's code, which the text
// does not repeat.
func TestCallbackSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{}.start})
		info, _ := api(t, cloud, function(t, cloud, "nobody", ""))
		unknown, wrong := cloud.Credentials(), cloud.Credentials()
		unknown.AccessKeyID, wrong.SecretAccessKey = "AKIAUNKNOWN", "wrong"
		for code, keys := range map[string]localcloud.Credentials{
			"UnrecognizedClientException": unknown, "InvalidSignatureException": wrong,
		} {
			client := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
				Region: "us-east-1", BaseEndpoint: aws.String(strings.Replace(info.Endpoint, "ws:", "http:", 1) + "/live"),
				HTTPClient: cloud.HTTPClient(), Credentials: provider(keys),
			})
			_, err := client.PostToConnection(t.Context(), &apigatewaymanagementapi.PostToConnectionInput{
				ConnectionId: aws.String("R1kmxc2VNjMCFIA="), Data: []byte("x"),
			})
			var refused smithy.APIError
			if !errors.As(err, &refused) || refused.ErrorCode() != code || strings.Contains(refused.ErrorMessage(), "Exception") {
				t.Errorf("error %v, want %s", err, code)
			}
			var response *awshttp.ResponseError
			if !errors.As(err, &response) || response.HTTPStatusCode() != 403 || response.ServiceRequestID() == "" {
				t.Errorf("response %v, want status 403 and a request id", response)
			}
		}
	})
}

// A bubble needs no functions: time passes while a queue alone is waited for.
func TestLongPollWithoutFunctions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true})
		main, _ := makeQueues(t, cloud, 1, time.Minute)
		client := queues(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		began := time.Now()
		send(t, client, main.URL, "late", 900)
		if got := receive(t, client, main.URL, time.Hour); got != "late" || time.Since(began) != 15*time.Minute {
			t.Errorf("received %q after %s", got, time.Since(began))
		}
	})
}

// A function that would be a process is refused where no process gets in.
func TestNoProcessInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true})
		function(t, cloud, "f", "")
		out, err := functions(cloud, cloud.Credentials()).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")})
		check(t, err)
		if !strings.Contains(string(out.Payload), "set Config.Funcs") {
			t.Errorf("answer %s", out.Payload)
		}
	})
}
