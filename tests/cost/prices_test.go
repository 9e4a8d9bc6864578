package cost_test

import "github.com/streamer-go/streamer/internal/contract"

// price is what AWS asks for in us-east-1, without free tiers and discounts.
type price struct {
	usd    float64
	per    float64 // so many units
	unit   string
	source string
}

// Items that no meter of the local cloud counts.
const (
	itemTraces   = "xray.traces"
	itemTransfer = "transfer.bytes-out"
)

// prices by what is metered.
func prices() map[string]price {
	const million, gigabyte = 1e6, 1e9
	return map[string]price{
		"apigateway.messages":           {1.00, million, "messages of up to 32 KB, in and out", "aws.amazon.com/api-gateway/pricing, first billion; as quoted by github.com/api-evangelist/amazon-web-services"},
		"apigateway.connection-minutes": {0.25, million, "connection minutes", "aws.amazon.com/api-gateway/pricing; as quoted by github.com/api-evangelist/amazon-web-services"},
		"lambda.requests":               {0.20, million, "invocations", "aws.amazon.com/lambda/pricing; as quoted by cloudchipr.com/blog/aws-lambda-pricing"},
		"lambda.gb-seconds":             {0.0000133334, 1, "GB-seconds, arm64", "aws.amazon.com/lambda/pricing, first 7.5 billion; as quoted by cloudchipr.com/blog/aws-lambda-pricing"},
		"dynamodb.write-units":          {0.625, million, "write units: 1 KB of the larger version of the item, and of each index entry that changes", "aws.amazon.com/dynamodb/pricing/on-demand; as quoted by airbyte.com/data-engineering-resources/dynamodb-pricing"},
		"dynamodb.read-units":           {0.125, million, "read units: 4 KB, half of one when eventually consistent", "aws.amazon.com/dynamodb/pricing/on-demand; as quoted by airbyte.com/data-engineering-resources/dynamodb-pricing"},
		"sqs.requests":                  {0.40, million, "requests of up to 64 KB", "aws.amazon.com/sqs/pricing, standard queues; as quoted by cloudburn.io/blog/amazon-sqs-pricing"},
		"scheduler.invocations":         {1.00, million, "invocations of EventBridge Scheduler", "aws.amazon.com/eventbridge/pricing; as quoted by cloudburn.io/blog/amazon-eventbridge-pricing"},
		"logs.bytes":                    {0.50, gigabyte, "GB of logs taken in", "aws.amazon.com/cloudwatch/pricing, first tier; as quoted by duckbillgroup.com/?p=9080"},
		itemTransfer:                    {0.09, gigabyte, "GB sent to the internet", "aws.amazon.com/ec2/pricing/on-demand, first 10 TB; as quoted by unanswered.io/guide/aws-sqs-pricing-and-cost-optimization"},
		itemTraces:                      {5.00, million, "traces recorded", "aws.amazon.com/xray/pricing"},
	}
}

// usd is what so many units of an item cost.
func usd(item string, n float64) float64 {
	p := prices()[item]
	return n * p.usd / p.per
}

// What virtual time does not tell.
const (
	// pollers is how many long polls Lambda keeps open at an empty queue; the local
	// cloud has one. The guide only says that Lambda begins with five batches at
	// once (docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
	pollers = 5
	// sampled is the share of traces that Lambda records beyond the first one of
	// each second (docs.aws.amazon.com/lambda/latest/dg/services-xray.html).
	sampled = 0.05
)

// own is how long an invocation is assumed to take besides what passes in
// virtual time, in seconds: the calls that it waits for and its own work.
func own() map[contract.Role]float64 {
	return map[contract.Role]float64{
		contract.RoleConnect: 0.010, contract.RoleRouter: 0.005, contract.RoleDispatcher: 0.015, contract.RoleProcessor: 0.030,
	}
}

// stores is how much longer a router's invocation takes that calls the table.
const stores = 0.010
