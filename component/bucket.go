package component

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// bucket holds large inputs and results. Nil: they are switched off.
type bucket struct{ *s3.BucketV2 }

// objects covers what is in the bucket under a prefix.
func (b *bucket) objects(prefix string) pulumi.StringInput {
	return pulumi.Sprintf("%s/%s*", b.Arn, prefix)
}

var bucketStart = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// bucketName says whether the name of a bucket may begin so
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
// Its length is that of other names.
func bucketName(name string) bool {
	kept := []string{"xn--", "sthree-", "amzn-s3-demo-"}
	return bucketStart.MatchString(name) && !slices.ContainsFunc(kept, func(p string) bool { return strings.HasPrefix(name, p) })
}

// makeBucket makes a private bucket whose objects delete themselves. Browsers
// read and write it through signed URLs, from the origins that may connect.
func (p *parts) makeBucket() error {
	if !p.settings.largePayloads {
		return nil
	}
	made, err := s3.NewBucketV2(p.ctx, p.child("payloads"), &s3.BucketV2Args{
		ForceDestroy: pulumi.Bool(!p.settings.protect),
		Tags:         p.settings.tags,
	}, p.guarded()...)
	if err != nil {
		return err
	}
	p.bucket = &bucket{made}
	block, err := s3.NewBucketPublicAccessBlock(p.ctx, p.child("payloads"), &s3.BucketPublicAccessBlockArgs{
		Bucket: made.ID(), BlockPublicAcls: pulumi.Bool(true), BlockPublicPolicy: pulumi.Bool(true),
		IgnorePublicAcls: pulumi.Bool(true), RestrictPublicBuckets: pulumi.Bool(true),
	}, p.options()...)
	if err != nil {
		return err
	}
	// One after the other: S3 refuses changes of a bucket's settings that meet.
	after := p.options(pulumi.DependsOn([]pulumi.Resource{block}))
	_, err = s3.NewBucketCorsConfigurationV2(p.ctx, p.child("payloads"), &s3.BucketCorsConfigurationV2Args{
		Bucket: made.ID(),
		CorsRules: s3.BucketCorsConfigurationV2CorsRuleArray{s3.BucketCorsConfigurationV2CorsRuleArgs{
			AllowedHeaders: pulumi.StringArray{pulumi.String("*")},
			AllowedMethods: pulumi.StringArray{pulumi.String("GET"), pulumi.String("PUT")},
			AllowedOrigins: p.settings.origins,
			MaxAgeSeconds:  pulumi.Int(3600),
		}},
	}, after...)
	if err != nil {
		return err
	}
	_, err = s3.NewBucketLifecycleConfigurationV2(p.ctx, p.child("payloads"), &s3.BucketLifecycleConfigurationV2Args{
		Bucket: made.ID(), Rules: lifecycle(),
	}, after...)
	return err
}

// withBucket gives a function what it needs to use the bucket. Who may not list
// it is answered AccessDenied for what is not there
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html); a read names
// no s3:prefix that this right could be narrowed by.
func (p *parts) withBucket(b blueprint) blueprint {
	if p.bucket == nil {
		return b
	}
	used := []pulumi.StringInput{p.bucket.objects(contract.StoredPrefix)}
	if b.role == contract.RoleRouter { // signs URLs for uploads, and reads what came
		used = append(used, p.bucket.objects(contract.UploadPrefix))
	}
	b.rights = append(b.rights,
		allow("s3", []string{"GetObject", "PutObject"}, used...),
		allow("s3", []string{"ListBucket"}, p.bucket.Arn),
	)
	b.env[contract.EnvBucket] = p.bucket.BucketV2.Bucket
	return b
}

// lifecycle deletes every object at its time: S3 has no expiry of its own for each.
func lifecycle() (rules s3.BucketLifecycleConfigurationV2RuleArray) {
	rule := func(id, prefix string, days int) {
		rules = append(rules, s3.BucketLifecycleConfigurationV2RuleArgs{
			Id: pulumi.String(id), Status: pulumi.String("Enabled"),
			Filter:     s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String(prefix)},
			Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(days)},
		})
	}
	rule("uploads", contract.UploadPrefix, 1)
	for _, days := range contract.ObjectDays() {
		rule(fmt.Sprintf("payloads-%d-days", days), contract.ObjectPrefix(days), days)
	}
	return rules
}
