package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// RetryConflicts makes a client repeat a write that meets a transaction on the
// same item, such as a cancel flag that meets a step: the transaction is over in
// milliseconds, and the SDK takes the refusal for final.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
func RetryConflicts(o *dynamodb.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, (&types.TransactionConflictException{}).ErrorCode())
}
