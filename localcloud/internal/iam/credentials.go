package iam

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

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
	ended       time.Time // zero while it goes on
}

// presignedLife is how long a presigned request is good that temporary
// credentials signed: AWS ends it with the credentials, and a role's session
// lasts twelve hours at most:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_manage-assume.html
const presignedLife = 12 * time.Hour

// current checks that the session may still be used. What it presigned before
// its end stays good: on AWS the credentials of an instance outlive it.
func (k *session) current(sig *signature, now time.Time) *SignatureError {
	switch {
	case !k.ended.IsZero() && (!sig.presigned || sig.time.After(k.ended)):
		return unrecognized(endedSession)
	case !k.caller.Root && sig.presigned && now.After(sig.time.Add(presignedLife)):
		return refuse(expiredToken, "ExpiredTokenException", "The security token included in the request is expired")
	}
	return nil
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
	s.forget(time.Now().Add(-presignedLife))
	c := newCredentials("ASIA")
	s.keys[c.AccessKeyID] = &session{credentials: c, caller: account.AssumedRole(roleName, sessionName)}
	return c, nil
}

// Revoke ends a session: what it signs from now on is refused, what it presigned
// before is not. The account's own keys cannot be revoked; a key that does not
// exist is ignored.
func (s *Store) Revoke(accessKeyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[accessKeyID]; k != nil && k.ended.IsZero() && accessKeyID != s.root.AccessKeyID {
		k.ended = time.Now()
		s.ended = append(s.ended, accessKeyID)
	}
}

// forget drops the sessions that ended before then. s.mu is held.
func (s *Store) forget(then time.Time) {
	for len(s.ended) > 0 {
		k := s.keys[s.ended[0]]
		if k != nil && !k.ended.Before(then) {
			return
		}
		delete(s.keys, s.ended[0])
		s.ended = s.ended[1:]
	}
}

func (s *Store) session(accessKeyID string) (k session, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if found := s.keys[accessKeyID]; found != nil {
		return *found, true
	}
	return session{}, false
}

// Assumable returns nil when the role's trust policy lets an AWS service (such
// as lambda.amazonaws.com) assume it on behalf of a resource, whose ARN is
// source, else an error that says what is missing.
func (s *Store) Assumable(roleName, service, source string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.roles[roleName]
	if r == nil {
		return &NotFound{"role", roleName}
	}
	in := request{action: "sts:AssumeRole", service: service, values: assumeValues(source, time.Now())}
	if r.trust.decide(&in) != allowed {
		return fmt.Errorf("assume role %s: its trust policy does not allow sts:AssumeRole for the service %s on behalf of %s", roleName, service, source)
	}
	return nil
}
