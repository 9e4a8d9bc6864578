package lambda_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// What is not here is refused by its name.
func TestAPINamesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	_, c := newAPI(t, lambda.Options{})
	f := aws.String(lambda.FunctionARN("f"))
	for name, call := range map[string]func() error{
		"ListLayers": func() error { _, err := c.ListLayers(t.Context(), &sdk.ListLayersInput{}); return err },
		"GetLayerVersionByArn": func() error {
			_, err := c.GetLayerVersionByArn(t.Context(), &sdk.GetLayerVersionByArnInput{Arn: f})
			return err
		},
		"DeleteFunction": func() error {
			_, err := c.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: f})
			return err
		},
		"RemovePermission": func() error {
			_, err := c.RemovePermission(t.Context(), &sdk.RemovePermissionInput{FunctionName: f, StatementId: f})
			return err
		},
		"ListFunctionEventInvokeConfigs": func() error {
			_, err := c.ListFunctionEventInvokeConfigs(t.Context(), &sdk.ListFunctionEventInvokeConfigsInput{FunctionName: f})
			return err
		},
		"ListProvisionedConcurrencyConfigs": func() error {
			_, err := c.ListProvisionedConcurrencyConfigs(t.Context(), &sdk.ListProvisionedConcurrencyConfigsInput{FunctionName: f})
			return err
		},
		"TagResource": func() error {
			_, err := c.TagResource(t.Context(), &sdk.TagResourceInput{Resource: f, Tags: map[string]string{"a": "b"}})
			return err
		},
		"UpdateFunctionConfiguration": func() error {
			_, err := c.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{FunctionName: f})
			return err
		},
	} {
		err := call()
		var unsupported smithy.APIError
		if !errors.As(err, &unsupported) || unsupported.ErrorCode() != "UnsupportedOperationException" || !strings.HasSuffix(unsupported.ErrorMessage(), "the Lambda operation "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The client's context reaches the function of a synchronous invocation.
func TestAPIClientContext(t *testing.T) {
	t.Parallel()
	seen := make(chan lambdacontext.ClientContext, 1)
	s := newSim(lambda.Options{}, func(ctx context.Context, _ []byte) ([]byte, error) {
		lc, _ := lambdacontext.FromContext(ctx)
		seen <- lc.ClientContext
		return nil, nil
	})
	defer s.close()
	s.put(t, "f")
	invoke := func(kind, text string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/2015-03-31/functions/f/invocations", nil)
		r.Header.Set("X-Amz-Client-Context", text)
		r.Header.Set("X-Amz-Invocation-Type", kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	given := base64.StdEncoding.EncodeToString([]byte("{\n\"custom\": {\"a\": \"b\"}, \"env\": {\"c\": \"d\"}}"))
	if w := invoke("RequestResponse", given); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := <-seen; got.Custom["a"] != "b" || got.Env["c"] != "d" {
		t.Errorf("context %+v", got)
	}
	if w := invoke("Event", given); w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := <-seen; got.Custom != nil {
		t.Errorf("context of an event %+v", got)
	}
	for _, bad := range []string{"{}", "e", base64.StdEncoding.EncodeToString([]byte("[]")), base64.StdEncoding.EncodeToString([]byte("null")), strings.Repeat(given, 100)} {
		if w := invoke("RequestResponse", bad); w.Code != 400 || w.Header().Get("X-Amzn-Errortype") != "InvalidRequestContentException" {
			t.Errorf("%.20s: %d %s", bad, w.Code, w.Body)
		}
	}
}
