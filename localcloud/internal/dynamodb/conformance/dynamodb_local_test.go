package conformance_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// dynamoDBLocalVariable names the directory of the unpacked DynamoDB Local.
const dynamoDBLocalVariable = "STREAMER_DYNAMODB_LOCAL"

// missingTool skips, or fails where everything is expected to be there.
func missingTool(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// startDynamoDBLocal runs Amazon's DynamoDB Local until the test ends.
func startDynamoDBLocal(t *testing.T) endpoint {
	t.Helper()
	dir := os.Getenv(dynamoDBLocalVariable)
	if dir == "" {
		missingTool(t, "%s is not set: run .ci/dynamodb-local and set it to what that prints", dynamoDBLocalVariable)
	}
	jar := filepath.Join(dir, "DynamoDBLocal.jar")
	if _, err := os.Stat(jar); err != nil {
		missingTool(t, "%s holds no DynamoDB Local: %v", dynamoDBLocalVariable, err)
	}
	java, err := exec.LookPath("java")
	if err != nil {
		missingTool(t, "DynamoDB Local needs Java: %v", err)
	}
	port := freePort(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), java, "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar",
		"-inMemory", "-port", fmt.Sprint(port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start DynamoDB Local: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	to := overHTTP(fmt.Sprintf("http://127.0.0.1:%d/", port))
	awaitAnswer(t, to, exited, &log)
	return to
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// overHTTP signs nothing: DynamoDB Local wants a signature's form and does not
// verify it.
func overHTTP(url string) endpoint {
	return func(target string, body []byte) (*http.Response, error) {
		r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20250101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
		return http.DefaultClient.Do(r)
	}
}

// awaitAnswer waits until the process answers; it takes about two seconds.
func awaitAnswer(t *testing.T, to endpoint, exited chan error, log *bytes.Buffer) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("DynamoDB Local ended: %v: %s", err, log)
		case <-deadline:
			t.Fatal("DynamoDB Local does not answer after a minute")
		case <-tick.C:
			res, err := to("DynamoDB_20120810.ListTables", []byte("{}"))
			if err == nil {
				_ = res.Body.Close()
				return
			}
		}
	}
}
