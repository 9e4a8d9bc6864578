package conformance_test

import "maps"

// difference is a call that our DynamoDB answers as AWS does and DynamoDB
// Local, of 2020, otherwise: a part of our answer, and how we know. Where a
// source is a program, its texts were recorded from AWS by its authors.
type difference struct{ ours, source string }

// The sources.
const (
	awsRecorded      = "LocalStack's test snapshots, recorded on AWS: names the table"
	dynalite         = "architect/dynalite, tests and source: AWS's wording"
	dynaliteSpelling = "architect/dynalite: AWS names the kind of set"
	namesIt          = "none: the refusal of this cloud, which names the operation"
	emptyStrings     = "DynamoDB announcement of 18 May 2020: empty values of non-key attributes; refused for keys only"
	oldItem          = "DynamoDB API, ReturnValuesOnConditionCheckFailure of single writes, since June 2023"
	missingItems     = "DynamoDB guide, read consistency and capacity: reading what is not there costs the minimum"
	byteOrder        = "DynamoDB guide, range keys compare by their UTF-8 bytes; DynamoDB Local leaves it to SQLite's LIKE"
	twice            = "DynamoDB guide, transaction-apis: two underlying writes for every item; localstack/localstack#13090"
	fullStop         = "LocalStack's test snapshots, recorded on AWS: no full stop, as in the exception itself"
	positions        = "ministackorg/ministack#1067, verified on AWS: key and type errors are reasons of a cancellation"
	mismatch         = "DynamoDB API, IdempotentParameterMismatchException: has a message"
	notAsked         = "DynamoDB API, ReturnConsumedCapacity: none unless asked for"
	segments         = "DynamoDB API, Scan: Segment from 0, TotalSegments from 1"
	serialization    = "architect/dynalite, validations: SerializationException for a wrong shape"
	streamSwitch     = "DynamoDB guide, Streams: ResourceInUseException when enabled twice; the table is named"
)

// knownDifferences is by name of the call, or "stream " and the item's key.
func knownDifferences() map[string]difference {
	all := differencesOfItems()
	maps.Copy(all, differencesOfExpressions())
	maps.Copy(all, differencesOfLegacy())
	return all
}

// differencesOfItems are in creating tables, putting and getting.
func differencesOfItems() map[string]difference {
	return map[string]difference{
		"create again":               {`Table already exists: hash`, awsRecorded},
		"create unused attribute":    {`One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions`, dynalite},
		"create undefined attribute": {`One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [pk], AttributeDefinitions: [zz]`, dynalite},
		"describe missing table":     {`Requested resource not found: Table: missing not found`, awsRecorded},
		"delete missing table":       {`Requested resource not found: Table: missing not found`, awsRecorded},
		"item of missing table":      {`Requested resource not found`, awsRecorded},
		"short table name":           {`TableName must be at least 3 characters long and at most 255 characters long`, dynalite},
		"unknown operation":          {`The operation FlyToTheMoon is not supported by this local DynamoDB`, namesIt},
		"get key too many":           {`The provided key element does not match the schema`, dynalite},
		"get key wrong type":         {`The provided key element does not match the schema`, dynalite},
		"get key wrong name":         {`The provided key element does not match the schema`, dynalite},
		"get key empty":              {`One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk`, emptyStrings},
		"put empty string":           {`{}`, emptyStrings},
		"put empty key":              {`One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk`, emptyStrings},
		"put missing key":            {`One or more parameter values were invalid: Missing the key pk in the item`, dynalite},
		"put wrong key type":         {`One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N`, dynalite},
		"put empty number set":       {`One or more parameter values were invalid: An number set  may not be empty`, dynaliteSpelling},
		"put duplicate in set":       {`One or more parameter values were invalid: Input collection [a, a] contains duplicates.`, dynalite},
		"put bad number":             {`The parameter cannot be converted to a numeric value: 1x`, dynalite},
		"put empty number":           {`The parameter cannot be converted to a numeric value`, dynalite},
		"put 39 digits":              {`Attempting to store more than 38 significant digits in a Number`, dynalite},
		"put unknown return values":  {`1 validation error detected: Value 'SOME' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]`, dynalite},
		"put index key wrong type":   {`One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: all`, dynalite},
		"put index key empty":        {`One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: all, IndexKey: g`, emptyStrings},
	}
}

// differencesOfExpressions are in all that comes after.
func differencesOfExpressions() map[string]difference {
	return map[string]difference{
		"condition fails with item":        {`Item={"n":{"N":"2"},"pk":{"S":"a"}}`, oldItem},
		"condition between reversed":       {`Invalid ConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:8}, upper bound operand: AttributeValue: {N:7}`, dynalite},
		"condition between types":          {`Invalid ConditionExpression: The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:8}, upper bound operand: AttributeValue: {N:7}`, dynalite},
		"condition bad value":              {`ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :v`, dynalite},
		"condition attribute_type unknown": {`Invalid ConditionExpression: Invalid attribute type name found; type: STRING, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`, dynalite},
		"update nested":                    {`{"Attributes":{"l":{"L":[{"S":"x"}]},"m":{"M":{"b":{"S":"x"}}}}}`, dynalite},
		"update add precision":             {`Attempting to store more than 38 significant digits in a Number`, dynalite},
		"update key":                       {`One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key`, dynalite},
		"query none":                       {`"CapacityUnits":0.5`, missingItems},
		"query begins_with":                {`"Count":2`, byteOrder},
		"query start elsewhere":            {`The provided starting key is outside query boundaries based on provided conditions`, dynalite},
		"query start incomplete":           {`The provided starting key is invalid`, dynalite},
		"query start wrong type":           {`The provided starting key is invalid: The provided key element does not match the schema`, dynalite},
		"query limit 0":                    {`1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1`, dynalite},
		"query no hash":                    {`Query condition missed key schema element: pk`, dynalite},
		"query other attribute":            {`Query condition missed key schema element: sk`, dynalite},
		"query empty hash":                 {`One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk`, emptyStrings},
		"index start incomplete":           {`The provided starting key is invalid`, dynalite},
		"index consistent":                 {`Consistent reads are not supported on global secondary indexes`, dynalite},
		"index all attributes":             {`One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index keys because its projection type is not ALL`, dynalite},
		"index wrong key":                  {`Query condition missed key schema element: g`, dynalite},
		"scan segment without total":       {`The TotalSegments parameter is required but was not present in the request when Segment parameter is present`, dynalite},
		"scan segment too large":           {`The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2`, dynalite},
		"batch write bad member":           {`One or more parameter values were invalid: Missing the key sk in the item`, dynalite},
		"batch write bad key":              {`The provided key element does not match the schema`, dynalite},
		"batch write missing table":        {`Requested resource not found`, awsRecorded},
		"batch get":                        {`"CapacityUnits":1.5`, missingItems},
		"batch get bad key":                {`The provided key element does not match the schema`, dynalite},
		"batch get missing table":          {`Requested resource not found`, awsRecorded},
		"transact write":                   {`"WriteCapacityUnits":8`, twice},
		"transact cancelled with item":     {`"Message":"The conditional request failed"}`, fullStop},
		"transact wrong key type":          {`[None, ValidationError]`, positions},
		"transact empty key":               {`One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk`, emptyStrings},
		"transact wrong operand":           {`[ValidationError, None]`, positions},
		"transact missing table":           {`Requested resource not found`, awsRecorded},
		"transact mismatch":                {`The request uses the same client token as a previous, but non-identical request. Do not reuse a client token with different requests, unless the requests are identical`, mismatch},
		"transact get bad key":             {`[ValidationError]`, positions},
		"delete again":                     {`{}`, notAsked},
		"scan all of hash":                 {`"s":{"S":""}`, emptyStrings},
		"stream on":                        {`Table already has an enabled stream: TableName: hash`, streamSwitch},
		"stream off where there is none":   {`Table is already disabled for streams: TableName: text`, streamSwitch},
		"update index key wrong type":      {`The update expression attempted to update the secondary index key to unsupported type`, dynalite},
		"stream e":                         {`"s":{"S":""}`, emptyStrings},
		"scan negative segment":            {"Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0", segments},
		"scan no segments":                 {"Value '0' at 'totalSegments' failed to satisfy constraint: Member must have value greater than or equal to 1", segments},
		"put not JSON":                     {"SerializationException: Unable to parse the request", serialization},
		"put list for a map":               {"SerializationException: Start of list found where not expected", serialization},
		"put number for a string":          {"SerializationException: NUMBER_VALUE cannot be converted to String", serialization},
	}
}
