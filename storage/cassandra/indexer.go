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

// partition is what rows must have in common to be one mutation.
type partition struct {
	into int
	key  string
}

// plan makes the statements for the spans. Rows of one partition share one, up to
// batch_rows: for Cassandra that is one mutation. What is left of batch_partitions
// of an index shares one too: a request less for each.
func (x *indexer) plan(spans []*jaegermodel.Span, names *nameCache, emit func(*statement)) {
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
	x.share(open, emit)
}

// share lets the partitions of an index share statements. Spans are too large for
// that.
func (x *indexer) share(open map[partition]*statement, emit func(*statement)) {
	var shared [numStatements]*statement
	var partitions [numStatements]int
	for p, st := range open {
		into := shared[p.into]
		if p.into == intoTraces || into != nil && len(into.rows)+len(st.rows) > x.cfg.BatchRows {
			emit(st)
			continue
		}
		if into == nil {
			into = &statement{into: p.into}
			shared[p.into], partitions[p.into] = into, 0
		}
		into.rows, into.spans = append(into.rows, st.rows...), append(into.spans, st.spans...)
		if partitions[p.into]++; partitions[p.into] == x.cfg.BatchPartitions {
			shared[p.into] = nil
			emit(into)
		}
	}
	for _, st := range shared {
		if st != nil {
			emit(st)
		}
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
