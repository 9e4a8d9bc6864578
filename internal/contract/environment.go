package contract

// Environment returns the names of the variables that the function of a role is
// given, all of them and no others, or nil for an unknown role. What a user adds
// for handlers comes on top, for router and processor.
func Environment(role Role) []string {
	common := []string{EnvRole, EnvLogLevel, EnvMetricsNamespace}
	switch role {
	case RoleConnect:
		return append(common, EnvConnectionsTable, EnvAuth)
	case RoleRouter:
		return append(common, EnvRequestsTable, EnvHistoryTable, EnvCallbackEndpoint, EnvQuickThreshold, EnvQuickTimeout)
	case RoleDispatcher:
		return append(common, EnvRequestsTable, EnvWakeQueueURL, EnvProcessorFunction)
	case RoleProcessor:
		return append(common, EnvRequestsTable, EnvHistoryTable, EnvWakeQueueURL, EnvCallbackEndpoint, EnvLease)
	}
	return nil
}

// Switched returns the names of the variables that the function of a role is
// given only where what they are about is switched on: what is off costs
// nothing, not even a right. EnvConnectionsTable comes with EnvTenantRate and
// EnvTenantConcurrency.
func Switched(role Role) []string {
	switch role {
	case RoleRouter:
		return []string{EnvMaxOpenUser, EnvMaxOpenTenant, EnvTenantRate, EnvConnectionsTable, EnvBucket}
	case RoleDispatcher:
		return []string{EnvPaused, EnvTenantConcurrency, EnvConnectionsTable}
	case RoleProcessor:
		return []string{EnvBucket}
	}
	return nil
}
