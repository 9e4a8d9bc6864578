package iam

import "strings"

// managedPolicy returns the document of an AWS managed policy, as printed in
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
func managedPolicy(arn string) (document string, ok bool) {
	name, ok := strings.CutPrefix(arn, "arn:aws:iam::aws:policy/")
	if !ok {
		return "", false
	}
	var actions string
	switch name {
	case "service-role/AWSLambdaBasicExecutionRole":
		actions = logActions
	case "service-role/AWSLambdaDynamoDBExecutionRole":
		actions = `"dynamodb:DescribeStream","dynamodb:GetRecords","dynamodb:GetShardIterator","dynamodb:ListStreams",` + logActions
	case "service-role/AWSLambdaSQSQueueExecutionRole":
		actions = `"sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes",` + logActions
	case "AWSXRayDaemonWriteAccess":
		actions = `"xray:PutTraceSegments","xray:PutTelemetryRecords","xray:GetSamplingRules","xray:GetSamplingTargets","xray:GetSamplingStatisticSummaries"`
	default:
		return "", false
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`, true
}

const logActions = `"logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"`
