package deploy_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// payloads is a program of a bucket with all that belongs to it.
type payloads struct {
	days      int
	origin    string
	force     bool
	parts     bool
	ownership string
}

func (p payloads) run(ctx *pulumi.Context) error {
	made, err := s3.NewBucketV2(ctx, "Payloads", &s3.BucketV2Args{ForceDestroy: pulumi.Bool(p.force)})
	if err != nil {
		return err
	}
	ctx.Export("bucket", made.Bucket)
	ctx.Export("arn", made.Arn)
	ctx.Export("domain", made.BucketRegionalDomainName)
	if !p.parts {
		return nil
	}
	if _, err := s3.NewBucketPublicAccessBlock(ctx, "access", &s3.BucketPublicAccessBlockArgs{
		Bucket: made.ID(), BlockPublicAcls: pulumi.Bool(true), BlockPublicPolicy: pulumi.Bool(true),
		IgnorePublicAcls: pulumi.Bool(true), RestrictPublicBuckets: pulumi.Bool(true),
	}); err != nil {
		return err
	}
	if _, err := s3.NewBucketOwnershipControls(ctx, "owner", &s3.BucketOwnershipControlsArgs{
		Bucket: made.ID(), Rule: s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String(p.ownership)},
	}); err != nil {
		return err
	}
	if _, err := s3.NewBucketServerSideEncryptionConfigurationV2(ctx, "encryption", &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: made.ID(), Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
			ApplyServerSideEncryptionByDefault: s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{SseAlgorithm: pulumi.String("AES256")},
		}},
	}); err != nil {
		return err
	}
	if _, err := s3.NewBucketCorsConfigurationV2(ctx, "cors", &s3.BucketCorsConfigurationV2Args{
		Bucket: made.ID(), CorsRules: s3.BucketCorsConfigurationV2CorsRuleArray{s3.BucketCorsConfigurationV2CorsRuleArgs{
			AllowedMethods: pulumi.ToStringArray([]string{"GET", "PUT"}), AllowedOrigins: pulumi.ToStringArray([]string{p.origin}),
			AllowedHeaders: pulumi.ToStringArray([]string{"*"}), ExposeHeaders: pulumi.ToStringArray([]string{"ETag"}), MaxAgeSeconds: pulumi.Int(600),
		}},
	}); err != nil {
		return err
	}
	return p.lifecycle(ctx, made)
}

func (p payloads) lifecycle(ctx *pulumi.Context, bucket *s3.BucketV2) error {
	_, err := s3.NewBucketLifecycleConfigurationV2(ctx, "lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(), Rules: s3.BucketLifecycleConfigurationV2RuleArray{
			s3.BucketLifecycleConfigurationV2RuleArgs{
				Id: pulumi.String("uploads"), Status: pulumi.String("Enabled"),
				Filter:                         s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("up/")},
				Expiration:                     s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(p.days)},
				AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{DaysAfterInitiation: pulumi.Int(1)},
			},
			s3.BucketLifecycleConfigurationV2RuleArgs{
				Id: pulumi.String("large"), Status: pulumi.String("Disabled"),
				Filter: s3.BucketLifecycleConfigurationV2RuleFilterArgs{And: s3.BucketLifecycleConfigurationV2RuleFilterAndArgs{
					Prefix: pulumi.String("a/"), ObjectSizeGreaterThan: pulumi.Int(10), ObjectSizeLessThan: pulumi.Int(20),
				}},
				Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Date: pulumi.String("2030-01-01T00:00:00Z")},
			},
		},
	})
	return err
}

func TestBucketAndItsParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	program := payloads{days: 1, origin: "https://a.example", parts: true, ownership: "BucketOwnerEnforced"}
	made := f.up(program.run)
	name, _ := made.Outputs["bucket"].(string)
	if !regexp.MustCompile(`^payloads-[0-9a-f]{7}$`).MatchString(name) || made.Outputs["arn"] != "arn:aws:s3:::"+name || made.Outputs["domain"] != name+".s3.us-east-1.amazonaws.com" {
		t.Fatalf("outputs %v", made.Outputs)
	}
	objects := f.cloud.Services().Objects
	info, ok := objects.Bucket(name)
	if !ok || len(info.Spec.Lifecycle) != 2 || len(info.Spec.CORS) != 1 {
		t.Fatalf("bucket %+v", info)
	}
	first, second := info.Spec.Lifecycle[0], info.Spec.Lifecycle[1]
	if first.ID != "uploads" || first.Disabled || first.Prefix != "up/" || first.Days != 1 {
		t.Errorf("rule %+v", first)
	}
	if !second.Disabled || second.Prefix != "a/" || second.LargerThan != 10 || second.SmallerThan != 20 || second.Date.Year() != 2030 || second.Days != 0 {
		t.Errorf("rule %+v", second)
	}
	if cors := info.Spec.CORS[0]; strings.Join(cors.Methods, " ") != "GET PUT" || cors.Origins[0] != "https://a.example" || cors.Headers[0] != "*" || cors.Expose[0] != "ETag" || *cors.MaxAge != 600 {
		t.Errorf("rule %+v", cors)
	}

	preview, err := f.deployer.Preview(context.Background(), f.program(program.run))
	if err != nil || changes(preview) != "" || preview.Same != 6 {
		t.Errorf("preview %q, %d the same: %v", changes(preview), preview.Same, err)
	}
	if got := changes(f.up(program.run)); got != "" {
		t.Errorf("changes of the second run: %s", got)
	}
	program.days, program.origin = 7, "*"
	const want = "update aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2 cors corsRules\nupdate aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2 lifecycle rules"
	changed := strings.Split(changes(f.up(program.run)), "\n")
	slices.Sort(changed) // they are made at the same time
	if got := strings.Join(changed, "\n"); got != want {
		t.Errorf("changes:\n%s\nwant:\n%s", got, want)
	}
	if info, _ = objects.Bucket(name); len(info.Spec.Lifecycle) != 2 || info.Spec.Lifecycle[0].Days != 7 || len(info.Spec.CORS) != 1 || info.Spec.CORS[0].Origins[0] != "*" {
		t.Errorf("bucket %+v", info.Spec)
	}
	// An update of the bucket leaves its parts, and their end leaves the bucket.
	program.force = true
	f.up(program.run)
	if info, _ = objects.Bucket(name); len(info.Spec.Lifecycle) != 2 || len(info.Spec.CORS) != 1 {
		t.Errorf("bucket %+v", info.Spec)
	}
	program.parts = false
	f.up(program.run)
	if info, ok = objects.Bucket(name); !ok || len(info.Spec.Lifecycle) != 0 || len(info.Spec.CORS) != 0 {
		t.Errorf("bucket %+v", info.Spec)
	}
	if _, err := f.deployer.Destroy(context.Background(), f.program(nil)); err != nil || len(objects.Buckets()) != 0 {
		t.Errorf("buckets %v: %v", objects.Buckets(), err)
	}
}

// upload stores an object with the account's keys.
func upload(f *fixture, bucket string) {
	f.Helper()
	keys := f.cloud.Credentials()
	client := sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(f.cloud.Endpoint()), HTTPClient: f.cloud.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	})
	if _, err := client.PutObject(f.Context(), &sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x")}); err != nil {
		f.Fatal(err)
	}
}

// A bucket with objects is deleted when the program says so, and not else.
func TestBucketThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		f := newFixture(t)
		program := payloads{force: force}
		upload(f, f.up(program.run).Outputs["bucket"].(string))
		_, err := f.deployer.Destroy(context.Background(), f.program(nil))
		if left := len(f.cloud.Services().Objects.Buckets()); force != (err == nil) || force != (left == 0) {
			t.Errorf("forced %t: %d buckets are left, %v", force, left, err)
		}
		if !force && !strings.Contains(err.Error(), "BucketNotEmpty") {
			t.Errorf("error %v", err)
		}
	}
}

func TestBucketRefusals(t *testing.T) {
	t.Parallel()
	bucket := func(args s3.BucketV2Args) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := s3.NewBucketV2(ctx, "b", &args)
			return err
		}
	}
	rule := func(r s3.BucketLifecycleConfigurationV2RuleArgs) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := s3.NewBucketLifecycleConfigurationV2(ctx, "l", &s3.BucketLifecycleConfigurationV2Args{
				Bucket: pulumi.String("box"), Rules: s3.BucketLifecycleConfigurationV2RuleArray{r},
			})
			return err
		}
	}
	id, on := pulumi.String("r"), pulumi.String("Enabled")
	for name, tt := range map[string]struct {
		body pulumi.RunFunc
		want string
	}{
		"inline rules":  {bucket(s3.BucketV2Args{LifecycleRules: s3.BucketV2LifecycleRuleArray{s3.BucketV2LifecycleRuleArgs{Enabled: pulumi.Bool(true)}}}), "lifecycleRules: is not supported by the local cloud"},
		"public":        {bucket(s3.BucketV2Args{Acl: pulumi.String("public-read")}), `acl: "public-read" is not supported by the local cloud, only "private" is`},
		"name":          {bucket(s3.BucketV2Args{Bucket: pulumi.String("No")}), "InvalidBucketName"},
		"transition":    {rule(s3.BucketLifecycleConfigurationV2RuleArgs{Id: id, Status: on, Transitions: s3.BucketLifecycleConfigurationV2RuleTransitionArray{s3.BucketLifecycleConfigurationV2RuleTransitionArgs{StorageClass: pulumi.String("GLACIER")}}}), "rules[0].transitions: is not supported by the local cloud"},
		"tag":           {rule(s3.BucketLifecycleConfigurationV2RuleArgs{Id: id, Status: on, Filter: s3.BucketLifecycleConfigurationV2RuleFilterArgs{Tag: s3.BucketLifecycleConfigurationV2RuleFilterTagArgs{Key: id, Value: id}}}), "rules[0].filter.tag: is not supported by the local cloud"},
		"no days":       {rule(s3.BucketLifecycleConfigurationV2RuleArgs{Id: id, Status: on, Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(0)}}), "rules[0].expiration.days: must be from 1"},
		"no date":       {rule(s3.BucketLifecycleConfigurationV2RuleArgs{Id: id, Status: on, Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Date: pulumi.String("soon")}}), "rules[0].expiration.date: must be a date"},
		"no bucket":     {rule(s3.BucketLifecycleConfigurationV2RuleArgs{Id: id, Status: on, Expiration: s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(1)}}), "NoSuchBucket"},
		"other writers": {payloads{days: 1, origin: "*", parts: true, ownership: "ObjectWriter"}.run, `rule.objectOwnership: "ObjectWriter" is not supported by the local cloud, only "BucketOwnerEnforced" is`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			if err := f.refused(tt.body); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// The provider reads back what it made, and misses what is gone.
func TestProviderReadsABucket(t *testing.T) {
	t.Parallel()
	cloud := newCloud(t)
	p, ctx := dialProvider(t, cloud), t.Context()
	const urns = "urn:pulumi:dev::proj::aws:s3/"
	create := func(urn string, inputs map[string]any) func() string {
		checked, err := p.Check(ctx, &rpc.CheckRequest{Urn: urn, News: properties(t, inputs)})
		if err != nil || len(checked.Failures) > 0 {
			t.Fatal(err, checked.GetFailures())
		}
		made, err := p.Create(ctx, &rpc.CreateRequest{Urn: urn, Properties: checked.Inputs})
		if err != nil {
			t.Fatal(err)
		}
		return func() string {
			read, err := p.Read(ctx, &rpc.ReadRequest{Urn: urn, Id: made.Id, Properties: made.Properties, Inputs: checked.Inputs})
			if err != nil {
				t.Fatal(err)
			}
			if read.Id != "" && read.Properties.String() != made.Properties.String() {
				t.Errorf("read %v, want %v", read.Properties, made.Properties)
			}
			return read.Id
		}
	}
	reads := []func() string{
		create(urns+"bucketV2:BucketV2::b", map[string]any{"bucket": "box"}),
		create(urns+"bucketPublicAccessBlock:BucketPublicAccessBlock::p", map[string]any{"bucket": "box", "blockPublicAcls": true}),
		create(urns+"bucketCorsConfigurationV2:BucketCorsConfigurationV2::c", map[string]any{
			"bucket": "box", "corsRules": []any{map[string]any{"allowedMethods": []any{"GET"}, "allowedOrigins": []any{"*"}}},
		}),
	}
	for _, read := range reads {
		if got := read(); got != "box" {
			t.Errorf("id %q, want box", got)
		}
	}
	if err := cloud.Services().Objects.DeleteBucket("box", true); err != nil {
		t.Fatal(err)
	}
	for _, read := range reads {
		if got := read(); got != "" {
			t.Errorf("id %q of what is gone", got)
		}
	}
}
