package local

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/tallygate/tallygate/storage"
)

func newMetrics(provider metric.MeterProvider, s *Store) (*storage.Metrics, error) {
	m := storage.NewMetrics(provider, "local")
	m.Counter("written_spans", "Spans that are on disk; written again they count again.", s.Stats.Written.Load)
	m.Counter("refused_spans", "Spans of writes that were refused: no space, or the engine failed. A retry may bring them again.", s.Stats.Refused.Load)
	m.Counter("sealed_blocks", "Blocks of spans with their index.", s.Stats.Blocks.Load)
	m.Counter("expired_partitions", "Partitions that went because of ttl or max_bytes.", s.Stats.Expired.Load)
	m.Gauge("waiting_spans", "Spans in the log, searched one by one, that are not yet in a block.", func() int64 { return int64(s.Waiting()) })
	m.Gauge("size_bytes", "Estimated size on disk; 0 if it cannot be told.", func() int64 {
		n, _ := s.size() // what is wrong with the disk, failed says
		return n
	})
	m.Gauge("failed", "1 if the engine cannot write until a restart.", func() int64 {
		if s.Failure() != nil {
			return 1
		}
		return 0
	})
	return m, m.Register()
}
