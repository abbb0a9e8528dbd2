package cassandra

import (
	"sync/atomic"

	"github.com/tallygate/tallygate/jaegermodel"
)

// indexer knows which rows a span has.
type indexer struct {
	cfg         IndexConfig
	allow, deny map[string]struct{}
	skipped     *atomic.Int64 // index rows that Cassandra, or Jaeger, would not take
}

func newIndexer(cfg IndexConfig, skipped *atomic.Int64) *indexer {
	set := func(list []string) map[string]struct{} {
		m := map[string]struct{}{}
		for _, s := range list {
			m[s] = struct{}{}
		}
		return m
	}
	return &indexer{cfg: cfg, allow: set(cfg.TagAllow), deny: set(cfg.TagDeny), skipped: skipped}
}

// statement is rows that travel together, and the spans that they are of.
type statement struct {
	into  int
	rows  [][]any
	spans []int
	name  string // key in the cache of names, which knows it once it is written
}

// plan makes the statements for the spans. Rows of one partition share one, up to
// batch_rows: for Cassandra that is one mutation.
func (x *indexer) plan(spans []*jaegermodel.Span, names *nameCache, emit func(*statement)) {
	type partition struct {
		into int
		key  string
	}
	open := map[partition]*statement{}
	named := map[string]bool{}
	var buf []byte
	var hash uint64
	for i, s := range spans {
		hash, buf = s.Hash(buf)
		x.rows(s, hash, func(into int, key string, values []any) {
			p := partition{into, key}
			st := open[p]
			if st == nil {
				st = &statement{into: into}
				open[p] = st
			}
			st.rows, st.spans = append(st.rows, values), append(st.spans, i)
			if len(st.rows) == x.cfg.BatchRows {
				delete(open, p)
				emit(st)
			}
		})
		x.names(i, s, names, named, emit)
	}
	for _, st := range open {
		emit(st)
	}
}

// names emits the statements for names that are not known to be written.
func (x *indexer) names(i int, s *jaegermodel.Span, names *nameCache, named map[string]bool, emit func(*statement)) {
	service, kind := s.Process.Service, s.Kind()
	if len(service) > maxKeyText || len(s.Operation) > maxKeyText {
		return
	}
	key := service + "\x00" + kind + "\x00" + s.Operation
	if named[key] || names.has(key) {
		return
	}
	named[key] = true
	emit(&statement{into: intoOperations, rows: [][]any{{service, kind, s.Operation}}, spans: []int{i}, name: key})
	if !named[service] && !names.has(service) {
		named[service] = true
		emit(&statement{into: intoServices, rows: [][]any{{service}}, spans: []int{i}, name: service})
	}
}
