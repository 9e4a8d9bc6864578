package dynamodb

import (
	"context"
	"slices"
)

type updateTableInput struct {
	TableName                   string
	AttributeDefinitions        []attributeDefinition
	GlobalSecondaryIndexUpdates []struct {
		Create *indexInput
		Delete *struct{ IndexName string }
		Update *struct {
			IndexName             string
			ProvisionedThroughput *throughput
		}
	}
	StreamSpecification       *streamSpecification
	DeletionProtectionEnabled *bool
	BillingMode               string
	ProvisionedThroughput     *throughput
	TableClass                string
}

func (s *Service) updateTable(ctx context.Context, in *updateTableInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "UpdateTable", name, ""); err != nil {
		return nil, err
	}
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, tableNotFound(name)
	}
	if in.StreamSpecification == nil && in.DeletionProtectionEnabled == nil && in.BillingMode == "" && in.ProvisionedThroughput == nil && in.TableClass == "" && len(in.GlobalSecondaryIndexUpdates) == 0 {
		return nil, validation("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	if err := in.checkBilling(t); err != nil {
		return nil, err
	}
	if err := checkClass(in.TableClass); err != nil {
		return nil, err
	}
	indexes, err := in.indexes(t)
	if err != nil {
		return nil, err
	}
	if err := s.switchStream(t, in.StreamSpecification); err != nil {
		return nil, err
	}
	t.setIndexes(indexes)
	switch {
	case in.BillingMode == "PAY_PER_REQUEST":
		t.throughput = nil
	case in.ProvisionedThroughput != nil:
		t.throughput = in.ProvisionedThroughput
	}
	if in.TableClass != "" {
		t.class = in.TableClass
	}
	if in.DeletionProtectionEnabled != nil {
		t.spec.DeletionProtection = *in.DeletionProtectionEnabled
	}
	return map[string]any{"TableDescription": t.describe("UPDATING")}, nil
}

// checkBilling checks the way of paying, which stays unless it is given.
func (in *updateTableInput) checkBilling(t *table) error {
	mode, units := in.BillingMode, in.ProvisionedThroughput
	switch {
	case mode == "" && units == nil:
		return nil
	case mode == "" && t.throughput == nil:
		mode = "PAY_PER_REQUEST"
	case units == nil:
		units = t.throughput
	}
	if mode == "PAY_PER_REQUEST" {
		units = in.ProvisionedThroughput
	}
	return checkBilling(mode, units)
}

// checkIndexBilling checks the capacity of an index, which fits the table's way
// of paying after the update.
func (in *updateTableInput) checkIndexBilling(t *table, spec IndexSpec) error {
	if spec.throughput == nil {
		return nil
	}
	mode := in.BillingMode
	if mode == "" && t.throughput == nil && in.ProvisionedThroughput == nil {
		mode = "PAY_PER_REQUEST"
	}
	return checkBilling(mode, spec.throughput)
}

// indexes are the table's indexes after the update.
func (in *updateTableInput) indexes(t *table) ([]IndexSpec, error) {
	if len(in.GlobalSecondaryIndexUpdates) > 1 {
		return nil, refuse("LimitExceededException", "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	}
	specs := slices.Clone(t.spec.Indexes)
	for _, change := range in.GlobalSecondaryIndexUpdates {
		switch {
		case change.Create != nil:
			if t.index(change.Create.IndexName) != nil {
				return nil, validation("Attempting to create an index which already exists")
			}
			spec, err := change.Create.spec(newTypes(append(t.definitions(), in.AttributeDefinitions...)))
			if err != nil {
				return nil, err
			}
			if err := in.checkIndexBilling(t, spec); err != nil {
				return nil, err
			}
			specs = append(specs, spec)
		case change.Delete != nil:
			i := slices.IndexFunc(specs, func(s IndexSpec) bool { return !s.Local && s.Name == change.Delete.IndexName })
			if i < 0 {
				return nil, refuse("ResourceNotFoundException", "Requested resource not found")
			}
			specs = slices.Delete(specs, i, i+1)
		case change.Update != nil:
			i := slices.IndexFunc(specs, func(s IndexSpec) bool { return !s.Local && s.Name == change.Update.IndexName })
			if i < 0 {
				return nil, refuse("ResourceNotFoundException", "Requested resource not found")
			}
			if change.Update.ProvisionedThroughput == nil {
				return nil, validation("One or more parameter values were invalid: nothing is to be updated of index %s", change.Update.IndexName)
			}
			specs[i].throughput = change.Update.ProvisionedThroughput
			if err := in.checkIndexBilling(t, specs[i]); err != nil {
				return nil, err
			}
		}
	}
	after := t.spec
	after.Indexes = specs
	after, err := after.normal()
	return after.Indexes, err
}

func (s *Service) switchStream(t *table, in *streamSpecification) error {
	switch {
	case in == nil:
	case in.StreamEnabled && t.stream != nil:
		return refuse("ResourceInUseException", "Table already has an enabled stream: TableName: %s", t.spec.Name)
	case in.StreamEnabled:
		views := []string{"NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"}
		if in.StreamViewType == "" {
			return invalidParameter("StreamEnabled is true, but StreamViewType is not specified")
		}
		if err := oneOf("streamSpecification.streamViewType", in.StreamViewType, views...); err != nil {
			return err
		}
		s.openStream(t, in.StreamViewType)
	case t.stream == nil:
		return validation("Table is already disabled for streams: TableName: %s", t.spec.Name)
	default:
		t.closeStream()
	}
	return nil
}
