// Package dynamo keeps requests, what history holds for them, and connections
// in DynamoDB. It knows expressions only as the table of package request
// renders them. A Store is safe for concurrent use.
package dynamo

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

func marshal(v any) (types.AttributeValue, error) {
	switch v := v.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}, nil
	case int64:
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}, nil
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, nil
	case []byte:
		return &types.AttributeValueMemberB{Value: v}, nil
	case request.Attrs:
		m, err := marshalAll(v)
		return &types.AttributeValueMemberM{Value: m}, err
	default:
		return nil, fmt.Errorf("marshal attribute: type %T is not stored", v)
	}
}

func marshalAll(a request.Attrs) (map[string]types.AttributeValue, error) {
	if len(a) == 0 {
		return nil, nil
	}
	out := make(map[string]types.AttributeValue, len(a))
	for k, v := range a {
		av, err := marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = av
	}
	return out, nil
}

func unmarshal(m map[string]types.AttributeValue) request.Attrs {
	if m == nil {
		return nil
	}
	out := make(request.Attrs, len(m))
	for k, v := range m {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			out[k] = v.Value
		case *types.AttributeValueMemberN:
			n, err := strconv.ParseInt(v.Value, 10, 64)
			if err == nil { // we store integers only
				out[k] = n
			}
		case *types.AttributeValueMemberBOOL:
			out[k] = v.Value
		case *types.AttributeValueMemberB:
			out[k] = v.Value
		case *types.AttributeValueMemberM:
			inner := unmarshal(v.Value)
			if inner == nil {
				inner = request.Attrs{}
			}
			out[k] = inner
		}
	}
	return out
}
