package dynamodb

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of tags:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Tagging.html
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

type tag struct{ Key, Value string }

// withTags returns the tags with the added ones among them.
func withTags(tags map[string]string, add []tag) (map[string]string, error) {
	out := map[string]string{}
	maps.Copy(out, tags)
	for _, t := range add {
		n := utf8.RuneCountInString(t.Key)
		switch {
		case n == 0 || n > maxTagKey:
			return nil, invalidParameter("Invalid tag key %q: a key has 1 to %d characters", t.Key, maxTagKey)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, invalidParameter("Invalid tag key %s: keys that begin with aws: are AWS's own", t.Key)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return nil, invalidParameter("Invalid value of tag %s: a value has at most %d characters", t.Key, maxTagValue)
		}
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, invalidParameter("Too many tags: a table has at most %d", maxTags)
	}
	return out, nil
}

// tagged is the table of an ARN, on which the caller may do the action. s.mu is
// held then: the caller unlocks it.
func (s *Service) tagged(ctx context.Context, action, arn string) (*table, error) {
	if err := s.allow(ctx, action, arn); err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(arn, tableARN(""))
	if !ok {
		return nil, invalidParameter("Invalid TableArn: Invalid ResourceArn provided as input %s", arn)
	}
	s.mu.Lock()
	if t := s.tables[name]; t != nil {
		return t, nil
	}
	s.mu.Unlock()
	return nil, refuse("ResourceNotFoundException", "Requested resource not found: ResourcArn: %s not found", arn)
}

func (s *Service) listTagsOfResource(ctx context.Context, in *struct{ ResourceArn, NextToken string }) (any, error) {
	if in.NextToken != "" {
		return nil, validation("Invalid NextToken") // the first page has all
	}
	t, err := s.tagged(ctx, "ListTagsOfResource", in.ResourceArn)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	tags := []tag{}
	for _, k := range slices.Sorted(maps.Keys(t.spec.Tags)) {
		tags = append(tags, tag{k, t.spec.Tags[k]})
	}
	return map[string]any{"Tags": tags}, nil
}

func (s *Service) tagResource(ctx context.Context, in *struct {
	ResourceArn string
	Tags        []tag
}) (any, error) {
	t, err := s.tagged(ctx, "TagResource", in.ResourceArn)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	tags, err := withTags(t.spec.Tags, in.Tags)
	if err != nil {
		return nil, err
	}
	t.spec.Tags = tags
	return struct{}{}, nil
}

func (s *Service) untagResource(ctx context.Context, in *struct {
	ResourceArn string
	TagKeys     []string
}) (any, error) {
	t, err := s.tagged(ctx, "UntagResource", in.ResourceArn)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	// A new map: infos that were given out have the old one.
	tags := map[string]string{}
	maps.Copy(tags, t.spec.Tags)
	for _, k := range in.TagKeys {
		delete(tags, k)
	}
	t.spec.Tags = tags
	return struct{}{}, nil
}
