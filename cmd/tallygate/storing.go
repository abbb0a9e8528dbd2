package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/confmap"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/storage/local"
	"github.com/tallygate/tallygate/storage/query"
)

// storing serves the query API over the store of one of the exporters.
//
//	Grafana, Jaeger's UI, trace ─HTTP─▶ listener ▶ api ▶ reader ─▶ the local store, Cassandra
type storing struct {
	stores   *local.Stores // those that exporters write to, too
	log      *slog.Logger
	api      *query.Handler
	listener *ingest.HTTPServer // nil if its port was taken by another
	task     *task

	// A request holds mu for reading: a reload waits until nobody reads the store
	// that it closes.
	mu     sync.RWMutex
	reader reader
}

// reader is an open store.
type reader interface {
	storage.Reader
	io.Closer
}

// newStoring returns nil without a query section.
func newStoring(cfg *config.Config, d *daemon, stores *local.Stores, own prometheus.Registerer) (*storing, error) {
	if !cfg.Query.HasValue() {
		return nil, nil
	}
	s := &storing{stores: stores, log: d.log.Logger}
	section := cfg.Query.Get()
	var err error
	s.api, err = query.New(section.Config, func() storage.Reader { return s.reader }, query.Options{Metrics: own, Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	s.listener, err = ingest.NewHTTPServer(section.HTTPConfig, s, ingest.HTTPOptions{
		Key: "query", Grace: d.grace, Metrics: own, Log: s.log,
	})
	return s, err
}

// ServeHTTP implements [http.Handler].
func (s *storing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.api.ServeHTTP(w, r)
}

// trace reads a trace for the console.
func (s *storing) trace(ctx context.Context, id string) (query.Trace, error) {
	if s == nil {
		return query.Trace{}, storage.ErrNotFound
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.api.Trace(ctx, id)
}

// storeOf reads the section of the exporter whose store is to be read.
func storeOf(cfg *config.Config) (any, error) {
	id := cfg.Query.Get().Store
	section, ok := cfg.Exporters[id]
	if !ok {
		return nil, fmt.Errorf("there is no %q in exporters", id)
	}
	var store any
	switch kind, _, _ := strings.Cut(id, "/"); kind {
	case local.Type.String():
		store = local.DefaultConfig()
	case cassandra.Type.String():
		store = cassandra.DefaultConfig()
	default:
		return nil, fmt.Errorf("exporter %q has no store that could be read: want one of type local or cassandra", id)
	}
	m, _ := section.(map[string]any)
	return store, confmap.NewFromStringMap(m).Unmarshal(store)
}

// checkStore is a check of the configuration.
func checkStore(cfg *config.Config) error {
	if !cfg.Query.HasValue() {
		return nil
	}
	if _, err := storeOf(cfg); err != nil {
		return config.Problems{{Path: "query.store", Message: err.Error()}}
	}
	return nil
}

func (s *storing) openReader(cfg *config.Config) (reader, error) {
	store, err := storeOf(cfg)
	if err != nil {
		return nil, err
	}
	switch c := store.(type) {
	case *local.Config:
		return s.stores.Open(c)
	case *cassandra.Config:
		return cassandra.NewReader(c)
	}
	return nil, fmt.Errorf("%T is no store", store)
}

// listen opens the listener. With lenient it is left out if its port is taken, as
// there may be a Jaeger next door.
func (s *storing) listen(ctx context.Context, lenient bool) error {
	if s == nil {
		return nil
	}
	err := s.listener.Listen(ctx)
	if lenient && errors.Is(err, syscall.EADDRINUSE) {
		s.log.Warn("The query API is left out: its port is taken", "err", err)
		s.listener = nil
		return nil
	}
	if err == nil {
		s.log.Info("Answering Jaeger's query API", "query", s.listener.Addr())
	}
	return err
}

// start opens the store and serves.
func (s *storing) start(cfg *config.Config, failed chan<- error) (err error) {
	if s == nil || s.listener == nil {
		return nil
	}
	if s.reader, err = s.openReader(cfg); err != nil {
		return fmt.Errorf("query.store: %w", err)
	}
	s.task = start("query", s.listener.Run, failed)
	return nil
}

// reload opens the store that is now configured and closes the other.
func (s *storing) reload(cfg *config.Config) error {
	if s == nil || s.task == nil {
		return nil
	}
	next, err := s.openReader(cfg)
	if err != nil {
		return fmt.Errorf("query.store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.reader
	s.reader = next
	if err := old.Close(); err != nil {
		s.log.Warn("Closing the old store", "err", err)
	}
	return nil
}

// close releases the listener of a process that will not run.
func (s *storing) close() {
	if s != nil && s.listener != nil {
		s.listener.Close()
	}
}

// stop ends the requests and then the use of the store.
func (s *storing) stop() error {
	if s == nil || s.task == nil {
		return nil
	}
	err := s.task.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	err = errors.Join(err, s.reader.Close())
	s.reader = nil // the admin endpoint goes on for a while
	return err
}

// greeting says where the spans are, if they can be asked for.
func (s *storing) greeting() string {
	if s == nil || s.listener == nil {
		return ""
	}
	return fmt.Sprintf("  Traces      tallygate trace find; in Grafana a Jaeger data source at http://%s\n", s.listener.Addr())
}
