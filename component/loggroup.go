package component

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// awsVersion is the version of the aws provider that the typed resources ask
// for. The log groups ask for the same one, or there would be two providers.
const awsVersion = "6.83.2"

// logGroup is aws.cloudwatch.LogGroup as far as it is needed: importing that
// package costs as much to compile as the five others together.
type logGroup struct {
	pulumi.CustomResourceState

	Arn  pulumi.StringOutput `pulumi:"arn"` // without the ":*" of its streams
	Name pulumi.StringOutput `pulumi:"name"`
}

// makeLogGroup makes the group that a function writes to. It has a name of its own, where
// Lambda's groups are looked for, and is there before the function: otherwise
// Lambda would make one that keeps everything for ever.
func (p *parts) makeLogGroup(part string) (*logGroup, error) {
	group := &logGroup{}
	err := p.ctx.RegisterResource("aws:cloudwatch/logGroup:LogGroup", p.child(part), pulumi.Map{
		"name":            pulumi.String(fmt.Sprintf("/aws/lambda/%s/%s/%s", p.ctx.Project(), p.ctx.Stack(), p.child(part))),
		"retentionInDays": p.settings.retention,
		"tags":            p.settings.tags,
	}, group, p.options(pulumi.Version(awsVersion))...)
	return group, err
}
