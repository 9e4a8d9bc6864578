package dynamodb

// throughput is provisioned capacity: kept and described, never a limit here.
type throughput struct {
	ReadCapacityUnits  int
	WriteCapacityUnits int
}

// checkClass checks a table's class, which is kept and described.
func checkClass(class string) error {
	return oneOf("tableClass", class, "STANDARD", "STANDARD_INFREQUENT_ACCESS")
}

// maxThroughput is the largest capacity that AWS takes as one.
const maxThroughput = 1_000_000_000_000

// checkBilling checks a table's way of paying. Without a BillingMode capacity
// is provisioned, and must be given.
func checkBilling(mode string, given *throughput) error {
	if err := oneOf("billingMode", mode, "PROVISIONED", "PAY_PER_REQUEST"); err != nil {
		return err
	}
	if mode == "PAY_PER_REQUEST" {
		if given != nil {
			return invalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return nil
	}
	switch {
	case given == nil || given.ReadCapacityUnits == 0 || given.WriteCapacityUnits == 0:
		return invalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	case given.ReadCapacityUnits < 0:
		return constraint(numberOf(given.ReadCapacityUnits).text, "provisionedThroughput.readCapacityUnits", "have value greater than or equal to 1")
	case given.WriteCapacityUnits < 0:
		return constraint(numberOf(given.WriteCapacityUnits).text, "provisionedThroughput.writeCapacityUnits", "have value greater than or equal to 1")
	case given.ReadCapacityUnits > maxThroughput:
		return validation("Given value %d for ReadCapacityUnits is out of bounds", given.ReadCapacityUnits)
	case given.WriteCapacityUnits > maxThroughput:
		return validation("Given value %d for WriteCapacityUnits is out of bounds", given.WriteCapacityUnits)
	}
	return nil
}

// describe is the ProvisionedThroughput of a table or an index; nil is on demand.
func (p *throughput) describe() map[string]any {
	var units throughput
	if p != nil {
		units = *p
	}
	return map[string]any{
		"NumberOfDecreasesToday": 0, "ReadCapacityUnits": units.ReadCapacityUnits, "WriteCapacityUnits": units.WriteCapacityUnits,
	}
}
