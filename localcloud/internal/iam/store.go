// Package iam is identity and access of the local cloud: who signed a request
// (Signature Version 4), which role that is, and whether the role's policies
// allow a call.
//
// A Store is safe for concurrent use. The package imports account and
// strictjson alone and starts no goroutine.
package iam

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Store keeps roles, their policies, and credentials.
type Store struct {
	root Credentials

	mu    sync.RWMutex // guards what follows
	roles map[string]*role
	keys  map[string]*session // by access key id
	ended []string            // of the keys, in the order of their end

	changes atomic.Uint64 // of roles and their policies
}

type role struct {
	trust  *document
	inline map[string]*document
	// managed are attached AWS managed policies, by ARN.
	managed map[string]*document
}

// New returns a Store that knows the account's own keys and no role.
func New() *Store {
	s := &Store{root: newCredentials("AKIA"), roles: map[string]*role{}, keys: map[string]*session{}}
	s.root.SessionToken = "" // long-term keys have none
	s.keys[s.root.AccessKeyID] = &session{credentials: s.root, caller: account.Root()}
	return s
}

// Changes counts the changes of roles and their policies: what was allowed or
// denied still is while it stays the same.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// NotFound is a role or policy that does not exist.
type NotFound struct{ Kind, Name string }

func (e *NotFound) Error() string {
	return fmt.Sprintf("NoSuchEntity: The %s with name %s cannot be found.", e.Kind, e.Name)
}

// RoleARN is the ARN of the role of that name.
func RoleARN(name string) string { return "arn:aws:iam::" + account.ID + ":role/" + name }

// RoleName returns the name in a role's ARN (the part after the last slash),
// or s itself when it is not an ARN.
func RoleName(s string) string {
	if !strings.HasPrefix(s, "arn:") {
		return s
	}
	return s[strings.LastIndexByte(s, '/')+1:]
}

// PutRole creates a role or replaces its trust policy; its other policies
// stay. It returns a *MalformedPolicy for a document that AWS would refuse.
func (s *Store) PutRole(name, trust string) error {
	doc, err := parseDocument(trust, trustPolicy)
	if err != nil {
		return fmt.Errorf("put role %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	if r := s.roles[name]; r != nil {
		r.trust = doc
		return nil
	}
	s.roles[name] = &role{trust: doc, inline: map[string]*document{}, managed: map[string]*document{}}
	return nil
}

// DeleteRole removes a role with its policies and ends its sessions. A role
// that does not exist is a *NotFound.
func (s *Store) DeleteRole(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roles[name] == nil {
		return &NotFound{"role", name}
	}
	delete(s.roles, name)
	s.changes.Add(1)
	for id, k := range s.keys {
		if k.caller.Role == name {
			delete(s.keys, id)
		}
	}
	return nil
}

// Roles returns the names of all roles, sorted.
func (s *Store) Roles() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.roles))
	for name := range s.roles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// PutPolicy creates or replaces an inline policy of a role.
func (s *Store) PutPolicy(roleName, policy, json string) error {
	doc, err := parseDocument(json, identityPolicy)
	if err != nil {
		return fmt.Errorf("put policy %s of role %s: %w", policy, roleName, err)
	}
	return s.edit(roleName, func(r *role) error {
		r.inline[policy] = doc
		return nil
	})
}

// DeletePolicy removes an inline policy of a role.
func (s *Store) DeletePolicy(roleName, policy string) error {
	return s.edit(roleName, func(r *role) error {
		if r.inline[policy] == nil {
			return &NotFound{"role policy", policy}
		}
		delete(r.inline, policy)
		return nil
	})
}

// AttachManaged attaches an AWS managed policy. Only those that a function's
// role commonly has are known; any other is a *NotFound.
func (s *Store) AttachManaged(roleName, arn string) error {
	text, ok := managedPolicy(arn)
	if !ok {
		return &NotFound{"managed policy (of those the local cloud knows)", arn}
	}
	doc, err := parseDocument(text, identityPolicy)
	if err != nil {
		return fmt.Errorf("attach policy %s: %w", arn, err)
	}
	return s.edit(roleName, func(r *role) error {
		r.managed[arn] = doc
		return nil
	})
}

// DetachManaged detaches an AWS managed policy.
func (s *Store) DetachManaged(roleName, arn string) error {
	return s.edit(roleName, func(r *role) error {
		if r.managed[arn] == nil {
			return &NotFound{"attached policy", arn}
		}
		delete(r.managed, arn)
		return nil
	})
}

func (s *Store) edit(name string, change func(*role) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.roles[name]
	if r == nil {
		return &NotFound{"role", name}
	}
	s.changes.Add(1)
	return change(r)
}
