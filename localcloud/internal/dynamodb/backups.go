package dynamodb

import "context"

func (s *Service) describeContinuousBackups(ctx context.Context, in *tableInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "DescribeContinuousBackups", name, ""); err != nil {
		return nil, err
	}
	return s.continuousBackups(name, nil)
}

// maxRecovery is for how many days back a table can be recovered, and is so
// unless it is said.
const maxRecovery = 35

type continuousBackupsInput struct {
	TableName                        string
	PointInTimeRecoverySpecification struct {
		PointInTimeRecoveryEnabled bool
		RecoveryPeriodInDays       *int
	}
}

func (s *Service) updateContinuousBackups(ctx context.Context, in *continuousBackupsInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "UpdateContinuousBackups", name, ""); err != nil {
		return nil, err
	}
	set := &in.PointInTimeRecoverySpecification
	days := set.RecoveryPeriodInDays
	if days == nil {
		days = new(int)
		*days = maxRecovery
	}
	if *days < 1 || *days > maxRecovery {
		return nil, validation("RecoveryPeriodInDays must be between 1 and %d", maxRecovery)
	}
	if !set.PointInTimeRecoveryEnabled {
		*days = 0
	}
	return s.continuousBackups(name, days)
}

// continuousBackups describes the setting, after changing it when asked to.
func (s *Service) continuousBackups(name string, days *int) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, refuse("TableNotFoundException", "Table not found: %s", name)
	}
	if days != nil {
		t.backups = *days
	}
	recovery := map[string]any{"PointInTimeRecoveryStatus": "DISABLED"}
	if t.backups > 0 {
		recovery = map[string]any{"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": t.backups}
	}
	return map[string]any{"ContinuousBackupsDescription": map[string]any{
		"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery,
	}}, nil
}
