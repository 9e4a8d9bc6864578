package iam

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Credentials sign requests.
type Credentials struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string // "" for the account's own keys
}

type session struct {
	credentials Credentials
	caller      account.Caller
}

func newCredentials(prefix string) Credentials {
	token := make([]byte, 96)
	secret := make([]byte, 30)
	rand.Read(token) // never fails: it ends the program instead
	rand.Read(secret)
	return Credentials{
		AccessKeyID:     prefix + rand.Text()[:16],
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret),
		SessionToken:    base64.StdEncoding.EncodeToString(token),
	}
}

// RootCredentials are the account's own keys, which are allowed everything.
func (s *Store) RootCredentials() Credentials { return s.root }

// NewCredentials starts a session of a role: its requests are checked against
// the policies that the role has at the time of each. They are good until
// Revoke or DeleteRole.
func (s *Store) NewCredentials(roleName, sessionName string) (Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roles[roleName] == nil {
		return Credentials{}, fmt.Errorf("make credentials of session %s: %w", sessionName, &NotFound{"role", roleName})
	}
	c := newCredentials("ASIA")
	s.keys[c.AccessKeyID] = &session{credentials: c, caller: account.AssumedRole(roleName, sessionName)}
	return c, nil
}

// Revoke ends a session. The account's own keys cannot be revoked; a key that
// does not exist is ignored.
func (s *Store) Revoke(accessKeyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if accessKeyID != s.root.AccessKeyID {
		delete(s.keys, accessKeyID)
	}
}

func (s *Store) session(accessKeyID string) *session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys[accessKeyID]
}

// Assumable returns nil when the role's trust policy lets an AWS service (such
// as lambda.amazonaws.com) assume it, else an error that says what is missing.
func (s *Store) Assumable(roleName, service string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.roles[roleName]
	if r == nil {
		return &NotFound{"role", roleName}
	}
	in := request{action: "sts:AssumeRole", service: service, values: map[string][]string{}}
	if r.trust.decide(&in) != allowed {
		return fmt.Errorf("assume role %s: its trust policy does not allow sts:AssumeRole for the service %s", roleName, service)
	}
	return nil
}
