package component

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

type table struct{ *dynamodb.Table }

// index is the ARN of an index, exact.
func (t *table) index(name string) pulumi.StringInput {
	return pulumi.Sprintf("%s/index/%s", t.Arn, name)
}

// streams covers the table's stream whatever its label, which changes when it is
// switched off and on.
func (t *table) streams() pulumi.StringInput { return pulumi.Sprintf("%s/stream/*", t.Arn) }

func (p *parts) makeTables() (err error) {
	if p.requests, err = p.makeTable("requests", contract.Requests()); err != nil {
		return err
	}
	if p.history, err = p.makeTable("history", contract.History()); err != nil {
		return err
	}
	p.connections, err = p.makeTable("connections", contract.Connections())
	return err
}

func (p *parts) makeTable(part string, t contract.Table) (*table, error) {
	args := &dynamodb.TableArgs{
		BillingMode:               pulumi.String("PAY_PER_REQUEST"),
		HashKey:                   pulumi.String(t.Hash),
		DeletionProtectionEnabled: pulumi.Bool(p.settings.protect),
		Tags:                      p.settings.tags,
	}
	// An attribute may be declared once only, also when two keys use it.
	attributes := dynamodb.TableAttributeArray{}
	declared := map[string]bool{}
	declare := func(name, kind string) {
		if name == "" || declared[name] {
			return
		}
		declared[name] = true
		attributes = append(attributes, dynamodb.TableAttributeArgs{Name: pulumi.String(name), Type: pulumi.String(kind)})
	}
	declare(t.Hash, "S")
	if t.Range != "" {
		declare(t.Range, "S")
		args.RangeKey = pulumi.String(t.Range)
	}
	var indexes dynamodb.TableGlobalSecondaryIndexArray
	for _, i := range t.Indexes {
		declare(i.Hash, i.HashType)
		declare(i.Range, i.RangeType)
		indexes = append(indexes, dynamodb.TableGlobalSecondaryIndexArgs{
			Name: pulumi.String(i.Name), HashKey: pulumi.String(i.Hash), RangeKey: pulumi.String(i.Range),
			ProjectionType: pulumi.String("KEYS_ONLY"),
		})
	}
	args.Attributes = attributes
	if len(indexes) > 0 {
		args.GlobalSecondaryIndexes = indexes
	}
	if t.Stream != "" {
		args.StreamEnabled, args.StreamViewType = pulumi.Bool(true), pulumi.String(t.Stream)
	}
	if t.TTL != "" {
		args.Ttl = dynamodb.TableTtlArgs{AttributeName: pulumi.String(t.TTL), Enabled: pulumi.Bool(true)}
	}
	if t.Recovery {
		args.PointInTimeRecovery = dynamodb.TablePointInTimeRecoveryArgs{Enabled: pulumi.Bool(true)}
	}
	made, err := dynamodb.NewTable(p.ctx, p.child(part), args, p.guarded()...)
	return &table{made}, err
}
