package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/strictjson"
)

// maxBody is the largest request that DynamoDB reads.
const maxBody = 16 << 20

const (
	targetTables  = "DynamoDB_20120810."
	targetStreams = "DynamoDBStreams_20120810."
)

// operation answers one decoded call. The service's lock is not held.
type operation func(ctx context.Context, s *Service, body []byte) (any, error)

// handle makes an operation of a method that takes a typed request.
func handle[In any](method func(s *Service, ctx context.Context, in *In) (any, error)) operation {
	return func(ctx context.Context, s *Service, body []byte) (any, error) {
		in := new(In)
		if err := decode(body, in); err != nil {
			return nil, err
		}
		return method(s, ctx, in)
	}
}

// decode refuses what the request has no fields for. On AWS it may mean
// something, and nothing is accepted here to be passed over.
func decode(body []byte, in any) error {
	err := strictjson.Unmarshal(body, in)
	var own *Error
	var unknown *strictjson.UnknownMember
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &unknown):
		return validation("The member %s is not supported by the local cloud", unknown.Name)
	}
	return malformed(err)
}

// malformed is the refusal of JSON that is none, or has another shape than the
// operation's model.
func malformed(err error) *Error {
	var typ *json.UnmarshalTypeError
	if !errors.As(err, &typ) {
		return serialization("Unable to parse the request: %s", err)
	}
	found, _, _ := strings.Cut(typ.Value, " ")
	switch found {
	case "array":
		return serialization("Start of list found where not expected")
	case "object":
		return serialization("Start of structure or map found where not expected.")
	}
	return serialization("%s_VALUE cannot be converted to %s", strings.ToUpper(found), modelType(typ.Type.Kind()))
}

// modelType is what AWS calls a type in its messages.
func modelType(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "String"
	case reflect.Bool:
		return "Boolean"
	case reflect.Int:
		return "Integer"
	case reflect.Float64:
		return "Double"
	case reflect.Slice:
		return "List"
	}
	return "Structure"
}

func operations(target string) (operation, string) {
	if name, ok := strings.CutPrefix(target, targetTables); ok {
		return tableOperation(name), name
	}
	if name, ok := strings.CutPrefix(target, targetStreams); ok {
		return streamOperation(name), name
	}
	return nil, target
}

func tableOperation(name string) operation {
	switch name {
	case "CreateTable":
		return handle((*Service).createTable)
	case "DescribeTable":
		return handle((*Service).describeTable)
	case "DeleteTable":
		return handle((*Service).deleteTable)
	case "ListTables":
		return handle((*Service).listTables)
	case "UpdateTable":
		return handle((*Service).updateTable)
	case "UpdateTimeToLive":
		return handle((*Service).updateTimeToLive)
	case "DescribeTimeToLive":
		return handle((*Service).describeTimeToLive)
	case "DescribeContinuousBackups":
		return handle((*Service).describeContinuousBackups)
	case "UpdateContinuousBackups":
		return handle((*Service).updateContinuousBackups)
	case "ListTagsOfResource":
		return handle((*Service).listTagsOfResource)
	case "TagResource":
		return handle((*Service).tagResource)
	case "UntagResource":
		return handle((*Service).untagResource)
	}
	return itemOperation(name)
}

func itemOperation(name string) operation {
	switch name {
	case "GetItem":
		return handle((*Service).getItem)
	case "PutItem":
		return handle((*Service).putItem)
	case "DeleteItem":
		return handle((*Service).deleteItem)
	case "UpdateItem":
		return handle((*Service).updateItem)
	case "Query":
		return handle((*Service).query)
	case "Scan":
		return handle((*Service).scan)
	case "BatchGetItem":
		return handle((*Service).batchGetItem)
	case "BatchWriteItem":
		return handle((*Service).batchWriteItem)
	case "TransactGetItems":
		return handle((*Service).transactGetItems)
	case "TransactWriteItems":
		return handle((*Service).transactWriteItems)
	}
	return nil
}

func streamOperation(name string) operation {
	switch name {
	case "ListStreams":
		return handle((*Service).listStreams)
	case "DescribeStream":
		return handle((*Service).describeStream)
	case "GetShardIterator":
		return handle((*Service).getShardIterator)
	case "GetRecords":
		return handle((*Service).getRecords)
	}
	return nil
}

// ServeHTTP answers one call of either service. The caller is taken from the
// request's context.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		s.reply(w, http.StatusBadRequest, serialization("Unable to read the request: %s", err).body())
		return
	}
	if len(body) > maxBody {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	op, name := operations(r.Header.Get("X-Amz-Target"))
	if op == nil {
		e := refuse("UnknownOperationException", "The operation %s is not supported by this local DynamoDB", name)
		s.reply(w, http.StatusBadRequest, e.body())
		return
	}
	out, err := op(r.Context(), s, body)
	if err != nil {
		e := asError(err)
		status := http.StatusBadRequest
		if e.Code == "InternalServerError" {
			status = http.StatusInternalServerError
		}
		s.reply(w, status, e.body())
		return
	}
	s.reply(w, http.StatusOK, out)
}

func (s *Service) reply(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(data)), 10))
	h.Set("X-Amzn-RequestId", s.requestID())
	w.WriteHeader(status)
	// An error here is a client that went away.
	_, _ = w.Write(data)
}

// requestID is unique, and short enough to be told apart by eye in a log.
func (s *Service) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return fmt.Sprintf("DYNAMODB%044d", s.requests)
}
