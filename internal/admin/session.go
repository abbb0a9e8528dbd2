package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// A page in a browser gets a token of its own: who has the endpoint's token asks
// for a code, opens the page with the code in the fragment of the URL, which no
// server and no log ever sees, and the page exchanges it. The code works once
// and for a minute, so that what stays in a history or a process list is worth
// nothing.
const (
	loginLife   = time.Minute
	sessionLife = 12 * time.Hour
	maxSessions = 1000
)

// sessions are the codes and tokens of pages, by their digest.
type sessions struct {
	mu     sync.Mutex
	codes  map[[32]byte]time.Time // when it ends
	tokens map[[32]byte]time.Time
}

// issue makes a secret that m knows for so long.
func (s *sessions) issue(m *map[[32]byte]time.Time, life time.Duration) (secret string, ok bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if *m == nil {
		*m = map[[32]byte]time.Time{}
	}
	for digest, ends := range *m {
		if now.After(ends) {
			delete(*m, digest)
		}
	}
	if len(*m) >= maxSessions {
		return "", false
	}
	secret = rand.Text()
	(*m)[sha256.Sum256([]byte(secret))] = now.Add(life)
	return secret, true
}

// redeem makes a token of a code.
func (s *sessions) redeem(code string) (token string, ok bool) {
	digest := sha256.Sum256([]byte(code))
	s.mu.Lock()
	ends, ok := s.codes[digest]
	delete(s.codes, digest)
	s.mu.Unlock()
	if !ok || time.Now().After(ends) {
		return "", false
	}
	return s.issue(&s.tokens, sessionLife)
}

// knows reports whether token is that of a page.
func (s *sessions) knows(token string) bool {
	digest := sha256.Sum256([]byte(token)) // a look-up by digest tells nothing by its time
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, ok := s.tokens[digest]
	return ok && time.Now().Before(ends)
}

// Login is the answer of /api/v1/login: a code for a page.
type Login struct {
	Code    string  `json:"code"`
	Expires float64 `json:"expires_seconds"`
}

// Session is the answer of /api/v1/session: a token for a page.
type Session struct {
	Token   string  `json:"token"`
	Expires float64 `json:"expires_seconds"`
}

func (s *Server) serveLogin(w http.ResponseWriter, _ *http.Request) {
	code, ok := s.guard.sessions.issue(&s.guard.sessions.codes, loginLife)
	if !ok {
		http.Error(w, "Too many codes are waiting to be used.", http.StatusTooManyRequests)
		return
	}
	writeSecret(w, Login{code, loginLife.Seconds()})
}

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Code string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&asked); err != nil {
		http.Error(w, `want {"code": "…"}`, http.StatusBadRequest)
		return
	}
	token, ok := s.guard.sessions.redeem(asked.Code)
	if !ok {
		s.guard.refuse(w, "token", http.StatusUnauthorized, "This code is not, or no longer, valid. Run tallygate console again.")
		return
	}
	writeSecret(w, Session{token, sessionLife.Seconds()})
}

func writeSecret(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
