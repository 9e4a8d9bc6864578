package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/strictjson"
)

// MalformedPolicy is a document that AWS would refuse, or that cannot be judged
// here.
type MalformedPolicy struct {
	Where   string // such as Statement[1].Effect, "" for the whole document
	Message string
}

func (e *MalformedPolicy) Error() string {
	if e.Where == "" {
		return "MalformedPolicyDocument: " + e.Message
	}
	return "MalformedPolicyDocument: " + e.Where + ": " + e.Message
}

func malformed(where, format string, args ...any) *MalformedPolicy {
	return &MalformedPolicy{Where: where, Message: fmt.Sprintf(format, args...)}
}

type policyKind int

const (
	identityPolicy policyKind = iota // has resources, no principal
	trustPolicy                      // has principals, no resource
)

type document struct{ statements []statement }

type statement struct {
	deny bool
	// actions are in lower case; with notActions they are those that the
	// statement is not about. So with resources.
	actions      []glob
	notActions   bool
	resources    []resourcePattern
	notResources bool
	// services are the AWS services that a trust policy names.
	services   []glob
	conditions []condition
}

// stringList is a JSON string or an array of them.
type stringList []string

func (l *stringList) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = stringList{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return errors.New("must be a string or an array of strings")
	}
	*l = many
	return nil
}

type rawDocument struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement json.RawMessage `json:"Statement"`
}

type rawStatement struct {
	Sid          string
	Effect       string
	Action       stringList
	NotAction    stringList
	Resource     stringList
	NotResource  stringList
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Condition    map[string]map[string]json.RawMessage
}

func parseDocument(text string, kind policyKind) (*document, error) {
	var raw rawDocument
	if err := strictjson.Unmarshal([]byte(text), &raw); err != nil {
		return nil, malformed("", "%s", err)
	}
	switch raw.Version {
	case "", "2008-10-17", "2012-10-17":
	default:
		return nil, malformed("Version", "%q is neither 2012-10-17 nor 2008-10-17", raw.Version)
	}
	list, err := statementList(raw.Statement)
	if err != nil {
		return nil, err
	}
	doc := &document{}
	for i, data := range list {
		where := fmt.Sprintf("Statement[%d]", i)
		var rs rawStatement
		if err := strictjson.Unmarshal(data, &rs); err != nil {
			return nil, malformed(where, "%s", err)
		}
		// The older version knows no variables: their text stands for itself.
		s, problem := rs.compile(where, kind, raw.Version == "2012-10-17")
		if problem != nil {
			return nil, problem
		}
		doc.statements = append(doc.statements, *s)
	}
	return doc, nil
}

func statementList(data json.RawMessage) ([]json.RawMessage, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil, malformed("Statement", "is missing")
	}
	if data[0] == '{' {
		return []json.RawMessage{data}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, malformed("Statement", "must be an object or an array of them")
	}
	if len(list) == 0 {
		return nil, malformed("Statement", "is empty")
	}
	return list, nil
}

func (rs *rawStatement) compile(where string, kind policyKind, variables bool) (*statement, *MalformedPolicy) {
	s, words := &statement{}, vocabulary{variables, callKeys}
	switch rs.Effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return nil, malformed(where+".Effect", "%q is neither Allow nor Deny", rs.Effect)
	}
	if err := rs.compileActions(s, where); err != nil {
		return nil, err
	}
	var err *MalformedPolicy
	if kind == trustPolicy {
		err = rs.compilePrincipal(s, where)
		if words.keys = trustKeys; len(s.services) == 0 {
			words.keys = nil
		}
	} else {
		err = rs.compileResources(s, where, words)
	}
	if err != nil {
		return nil, err
	}
	s.conditions, err = compileConditions(rs.Condition, where+".Condition", words)
	return s, err
}

func (rs *rawStatement) compileActions(s *statement, where string) *MalformedPolicy {
	list, where := rs.Action, where+".Action"
	if len(rs.NotAction) > 0 {
		if len(list) > 0 {
			return malformed(where, "stands beside NotAction")
		}
		list, where, s.notActions = rs.NotAction, strings.TrimSuffix(where, "Action")+"NotAction", true
	}
	if len(list) == 0 {
		return malformed(where, "is missing")
	}
	for i, a := range list {
		at := fmt.Sprintf("%s[%d]", where, i)
		service, name, ok := strings.Cut(a, ":")
		switch {
		case a == "*":
		case !ok || service == "" || name == "":
			return malformed(at, "%q must be service:Action", a)
		case strings.ContainsAny(service, "*?"):
			return malformed(at, "%q has a wildcard in the service", a)
		}
		s.actions = append(s.actions, compileGlob(a).fold())
	}
	return nil
}

func (rs *rawStatement) compileResources(s *statement, where string, words vocabulary) *MalformedPolicy {
	if rs.Principal != nil || rs.NotPrincipal != nil {
		return malformed(where, "a policy of a role has no Principal")
	}
	list, where := rs.Resource, where+".Resource"
	if len(rs.NotResource) > 0 {
		if len(list) > 0 {
			return malformed(where, "stands beside NotResource")
		}
		list, where, s.notResources = rs.NotResource, strings.TrimSuffix(where, "Resource")+"NotResource", true
	}
	if len(list) == 0 {
		return malformed(where, "is missing")
	}
	for i, text := range list {
		p, err := parseResource(text, words)
		if err != nil {
			return malformed(fmt.Sprintf("%s[%d]", where, i), "%s", err)
		}
		s.resources = append(s.resources, p)
	}
	return nil
}

func (rs *rawStatement) compilePrincipal(s *statement, where string) *MalformedPolicy {
	if len(rs.Resource) > 0 || len(rs.NotResource) > 0 {
		return malformed(where, "a trust policy has no Resource")
	}
	if rs.NotPrincipal != nil {
		return malformed(where+".NotPrincipal", "is not supported by the local cloud")
	}
	where += ".Principal"
	if rs.Principal == nil {
		return malformed(where, "is missing")
	}
	var all string
	if json.Unmarshal(rs.Principal, &all) == nil {
		if all != "*" {
			return malformed(where, "%q must be \"*\" or an object", all)
		}
		s.services = []glob{compileGlob("*")}
		return nil
	}
	var kinds map[string]stringList
	if err := json.Unmarshal(rs.Principal, &kinds); err != nil {
		return malformed(where, "must be \"*\" or an object of strings or arrays of strings")
	}
	for kind, names := range kinds {
		switch kind {
		case "Service":
			for _, name := range names {
				s.services = append(s.services, literal(name))
			}
		case "AWS", "Federated", "CanonicalUser": // nobody of these is in the local cloud
		default:
			return malformed(where, "%q is no kind of principal", kind)
		}
	}
	return nil
}
