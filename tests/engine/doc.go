// Package engine holds the tests that let the real Pulumi engine work against
// the local cloud: the CLI previews, deploys, refreshes and destroys unmodified
// programs, with localcloud/deploy attached as the aws provider.
//
// They need the Pulumi CLI, whose path is in STREAMER_PULUMI (it is built from
// the module tools/pulumi), and no network.
package engine
