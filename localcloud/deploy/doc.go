// Package deploy turns Pulumi resources into the local cloud.
//
// One table of resource kinds says, for each type of the aws package that the
// local cloud has, what its inputs mean, which of them replace the resource,
// and how it is created, updated, read and deleted. The table is used twice:
//
//   - a [Deployer] runs an unmodified Pulumi program against a resource monitor
//     of its own, without the Pulumi engine: the program's resources become
//     the local cloud, and what a later run no longer registers is deleted;
//   - a [Provider] serves the same kinds as the aws resource provider to the
//     real engine, which finds it by PULUMI_DEBUG_PROVIDERS=aws:PORT.
//
// A type, or a property of a type, that is not in the table is refused with
// its name and, where the program says it, the line that wrote it: nothing is
// accepted and then ignored, but for what the table lists as without effect.
//
// Deployer and Provider are safe for concurrent use; runs of one Deployer
// exclude each other.
//
// The package may import the services of the local cloud and the Pulumi SDK,
// and neither the runtime nor the component.
package deploy
