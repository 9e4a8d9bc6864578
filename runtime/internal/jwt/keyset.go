package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// How a key set is kept.
const (
	// freshFor is how long a fetched set is used without asking again. A key that
	// its issuer withdrew is accepted for so long.
	freshFor = 10 * time.Minute
	// staleFor is how long a set is used while its URL cannot be reached, counted
	// from the last success: an issuer that is down does not take everybody's
	// connections with it, and a withdrawn key is not good for ever.
	staleFor = 24 * time.Hour
	// againAfter is the pause after a success before an unknown key id may ask
	// again: tokens with made-up ids must not become requests to the issuer.
	againAfter = 30 * time.Second
	// retryAfter is the pause after a failure.
	retryAfter = 2 * time.Second
	// fetchTimeout bounds one fetch; a client waits in its handshake meanwhile.
	fetchTimeout = 5 * time.Second
	// maxSet bounds the document.
	maxSet = 256 << 10
)

// keySet is a key set behind a URL.
type keySet struct {
	url    string
	client *http.Client

	mu      sync.Mutex // guards what follows; not held during a fetch
	keys    []key
	fetched time.Time     // last success
	next    time.Time     // no fetch before
	last    error         // of the last fetch
	flight  chan struct{} // closed when the fetch that is under way is over; else nil
}

// newKeySet returns the key set behind a URL that has been checked.
func newKeySet(url string, transport http.RoundTripper) (*keySet, error) {
	if transport == nil {
		return nil, errors.New("needs a transport")
	}
	return &keySet{url: url, client: &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		// A redirect would lead past the check of the scheme.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// now is the wall clock without Go's monotonic reading: a function instance is
// frozen between invocations, and ages are to count that time too.
func now() time.Time { return time.Now().Round(0) }

// find returns the keys for a token, after fetching the set when it is too old
// or does not have any. None is not an error: then the token's key is unknown.
func (s *keySet) find(ctx context.Context, alg, kid string) ([]key, error) {
	s.mu.Lock()
	if found := match(s.keys, alg, kid); len(found) > 0 && now().Sub(s.fetched) < freshFor {
		s.mu.Unlock()
		return found, nil
	}
	flight := s.flight
	if flight == nil && !now().Before(s.next) {
		flight = make(chan struct{})
		s.flight = flight
		// A goroutine of its own, for whoever began the fetch may give up while
		// others still wait for it. It ends within fetchTimeout.
		go s.fetch(context.WithoutCancel(ctx), flight)
	}
	s.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, &Error{Reason: "wait for key set", Temporary: true, Err: context.Cause(ctx)}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() || now().Sub(s.fetched) >= staleFor {
		return nil, &Error{Reason: "no key set", Temporary: true, Err: s.last}
	}
	found := match(s.keys, alg, kid)
	if len(found) == 0 && s.last != nil {
		// The key may be new, and the fetch that would have shown it failed.
		return nil, &Error{Reason: "no key in a key set that is out of date", Temporary: true, Err: s.last}
	}
	return found, nil
}

// fetch gets the set and lets everybody who waits for it go on.
func (s *keySet) fetch(ctx context.Context, flight chan struct{}) {
	keys, err := s.get(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last = err; err == nil {
		s.keys, s.fetched, s.next = keys, now(), now().Add(againAfter)
	} else {
		s.next = now().Add(retryAfter)
	}
	s.flight = nil
	close(flight)
}

func (s *keySet) get(ctx context.Context) ([]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch key set %s: status %d", s.url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch key set %s: %w", s.url, err)
	}
	if len(body) > maxSet {
		return nil, fmt.Errorf("fetch key set %s: more than %d bytes", s.url, maxSet)
	}
	return parseSet(body)
}
