package conformance_test

// The sources for the parameters that expressions replaced and for tables.
const (
	dynaliteLegacy = "architect/dynalite, validations and tests: AWS's wording"
	notContains    = "architect/dynalite: NOT_CONTAINS is the opposite of CONTAINS, so it holds where the attribute is missing"
	onDemand       = "DynamoDB API, CreateTable: no ProvisionedThroughput when BillingMode is PAY_PER_REQUEST"
)

// differencesOfLegacy are in the parameters that expressions replaced, in
// local secondary indexes and in how a table is paid for.
func differencesOfLegacy() map[string]difference {
	return map[string]difference{
		"legacy query no operator":       {`Value null at 'keyConditions.pk.member.comparisonOperator' failed to satisfy constraint: Member must not be null`, dynaliteLegacy},
		"legacy query not indexable":     {`Attempted conditional constraint is not an indexable operation`, dynaliteLegacy},
		"legacy query no hash":           {`Query condition missed key schema element: pk`, dynaliteLegacy},
		"legacy scan not contains":       {`"Count":2`, notContains},
		"legacy get twice":               {`One or more parameter values were invalid: Duplicate value in attribute name: n`, dynaliteLegacy},
		"legacy update delete of scalar": {`DELETE action with value is not supported for the type N`, dynaliteLegacy},
		"legacy update add of string":    {`ADD action is not supported for the type S`, dynaliteLegacy},
		"create local without range":     {`Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex`, dynaliteLegacy},
		"create local other hash":        {`Index KeySchema does not have the same leading hash key as table KeySchema for index: byAt. index hash key: sk, table hash key: pk`, dynaliteLegacy},
		"create local empty list":        {`List of LocalSecondaryIndexes is empty`, dynaliteLegacy},
		"create global empty list":       {`List of GlobalSecondaryIndexes is empty`, dynaliteLegacy},
		"create no throughput":           {`ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED`, dynaliteLegacy},
		"create both throughput":         {`Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST`, onDemand},
	}
}
