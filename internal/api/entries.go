package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/tap"
)

// failures answers /api/v1/errors: the last failures and denials that pass a
// filter.
func (a *API) failures(r *http.Request) (any, error) {
	q := r.URL.Query()
	self := func() (fleet.Entries, error) { return a.ownFailures(q) }
	if own(q) {
		return self()
	}
	if _, err := self(); err != nil {
		return nil, err
	}
	return fleet.AskEntries(r.Context(), a.sources(r.Context(), answer(self)), q)
}

func (a *API) ownFailures(q url.Values) (fleet.Entries, error) {
	out := fleet.Entries{Replicas: []fleet.Replica{a.opts.Self()}, Entries: []fleet.Entry{}}
	f, err := tap.ParseFilter(q)
	if err != nil {
		return out, badRequest{err}
	}
	limit := 50
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 200 {
			return out, badRequest{fmt.Errorf("limit=%s: want a number from 1 to 200", text)}
		}
	}
	for _, e := range a.opts.Tap.Failures(f, limit) {
		out.Entries = append(out.Entries, a.shown(e))
	}
	return out, nil
}

// shown adds to an entry what the tap does not know.
func (a *API) shown(e *tap.Entry) fleet.Entry {
	out := fleet.Entry{Entry: *e}
	out.Replica = a.opts.Self().Name
	if a.opts.TraceURL != nil && out.TraceID != "" {
		if template := a.opts.TraceURL(); template != "" {
			out.TraceURL = strings.ReplaceAll(template, "{trace_id}", url.PathEscape(out.TraceID))
		}
	}
	return out
}

// entry answers /api/v1/entries/{id}: a failure or denial with its decision. IDs
// are a replica's own: replica=<name> says whose.
func (a *API) entry(r *http.Request) (any, error) {
	q := r.URL.Query()
	id := r.PathValue("id")
	self := func() (fleet.Entry, error) {
		if name := q.Get("replica"); name != "" && name != a.opts.Self().Name {
			return fleet.Entry{}, errNotFound
		}
		e, ok := a.opts.Tap.Find(id)
		if !ok {
			return fleet.Entry{}, errNotFound
		}
		return a.shown(e), nil
	}
	if own(q) {
		return self()
	}
	sources := a.sources(r.Context(), answer(self))
	found, _ := fleet.Ask[fleet.Entry](r.Context(), sources, "/api/v1/entries/"+url.PathEscape(id), q)
	if len(found) == 0 {
		return nil, errNotFound
	}
	e := found[0]
	if e.DecisionID != "" {
		e.Decision, _ = a.findDecision(r.Context(), e.DecisionID)
	}
	return e, nil
}

// findDecision asks everybody: the replica that was asked for a decision need not
// be the one that has the log.
func (a *API) findDecision(ctx context.Context, id string) (json.RawMessage, error) {
	sources := a.sources(ctx, answer(func() (json.RawMessage, error) { return a.ownDecision(id) }))
	found, _ := fleet.Ask[json.RawMessage](ctx, sources, "/api/v1/decisions/"+url.PathEscape(id), nil)
	if len(found) == 0 {
		return nil, errNotFound
	}
	return found[0], nil
}

// decision answers /api/v1/decisions/{id}.
func (a *API) decision(r *http.Request) (any, error) {
	if own(r.URL.Query()) {
		return a.ownDecision(r.PathValue("id"))
	}
	return a.findDecision(r.Context(), r.PathValue("id"))
}

func (a *API) ownDecision(id string) (json.RawMessage, error) {
	if a.opts.Decision == nil {
		return nil, errNotFound
	}
	d, ok := a.opts.Decision(id)
	if !ok {
		return nil, errNotFound
	}
	return json.Marshal(d)
}

// alive is how often a silent tap says that it lives.
const alive = 2 * time.Second

// watch answers /api/v1/tap: lines of JSON for as long as the one who asks stays.
func (a *API) watch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := tap.ParseFilter(q)
	last := 0
	if text := q.Get("last"); err == nil && text != "" {
		if last, err = strconv.Atoi(text); err != nil || last < 0 || last > 200 {
			err = fmt.Errorf("last=%s: want a number from 0 to 200", text)
		}
	}
	if err != nil {
		serve(func(*http.Request) (any, error) { return nil, badRequest{err} })(w, r)
		return
	}
	control := http.NewResponseController(w)
	// It lasts as long as somebody watches, not as long as an answer may take.
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	s := &stream{lines: json.NewEncoder(w), control: control, name: a.opts.Self().Name}

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	watcher, stop := a.opts.Tap.Watch(f)
	defer stop()
	kept := a.opts.Tap.Failures(f, max(last, 0))
	for i := len(kept) - 1; i >= 0; i-- {
		e := a.shown(kept[i])
		s.send(fleet.Line{Entry: &e})
	}
	peers := make(chan fleet.Line, 64)
	if !own(q) && a.opts.WatchPeers != nil {
		// The line is from a peer: it has the name already.
		go a.opts.WatchPeers(ctx, q, func(l fleet.Line) {
			select {
			case peers <- l:
			case <-ctx.Done():
			}
		})
	}
	s.send(fleet.Line{})
	tick := time.NewTicker(alive)
	defer tick.Stop()
	for s.err == nil {
		select {
		case <-ctx.Done():
			return
		case <-a.opts.Closing:
			return
		case e := <-watcher.Entries():
			shown := a.shown(e)
			s.send(fleet.Line{Entry: &shown, Missed: watcher.Missed()})
		case l := <-peers:
			if l.Replica != s.name {
				s.send(l)
			}
		case <-tick.C:
			s.send(fleet.Line{Missed: watcher.Missed()})
		}
		if len(watcher.Entries()) == 0 && len(peers) == 0 {
			s.flush()
		}
	}
}

// stream writes lines until one fails.
type stream struct {
	lines   *json.Encoder
	control *http.ResponseController
	name    string
	err     error
}

func (s *stream) send(l fleet.Line) {
	if l.Replica == "" {
		l.Replica = s.name
	}
	if s.err == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // one who hangs
		s.err = s.lines.Encode(l)
	}
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.control.Flush()
	}
}
