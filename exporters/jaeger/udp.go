package jaeger

import (
	"context"
	"fmt"
	"sync"

	jaegerlog "github.com/uber/jaeger-client-go/log"
	"github.com/uber/jaeger-client-go/thrift"
	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"
	"github.com/uber/jaeger-client-go/utils"
)

// overUDP sends batches in packets of Thrift's compact protocol.
type overUDP struct {
	max     int
	metrics *metrics

	mu     sync.Mutex
	client *utils.AgentClientUDP
	buf    *thrift.TMemoryBuffer
	proto  thrift.TProtocol
}

// overhead is what a packet has beside the process and the spans: the head of the
// call, and list and field heads that grow with the number of spans.
const overhead = 70

func newUDP(cfg *Config, m *metrics) (sender, error) {
	client, err := utils.NewAgentClientUDPWithParams(utils.AgentClientUDPParams{
		HostPort: cfg.ClientConfig.Endpoint, MaxPacketSize: cfg.MaxPacketSize, Logger: jaegerlog.NullLogger,
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	buf := thrift.NewTMemoryBufferLen(cfg.MaxPacketSize)
	return &overUDP{
		max: cfg.MaxPacketSize - overhead, metrics: m, client: client,
		buf: buf, proto: thrift.NewTCompactProtocolFactoryConf(nil).GetProtocol(buf),
	}, nil
}

func (s *overUDP) send(ctx context.Context, b *jaeger.Batch) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	process := s.size(b.Process)
	if process > s.max/2 {
		process = cutProcess(b.Process, s.max/2, s.size)
	}
	var packet []*jaeger.Span
	room := s.max - process
	flush := func() error {
		if len(packet) == 0 {
			return nil
		}
		if err := s.client.EmitBatch(ctx, &jaeger.Batch{Process: b.Process, Spans: packet}); err != nil {
			return err
		}
		s.metrics.packets.Add(ctx, 1)
		sent += len(packet)
		packet, room = nil, s.max-process
		return nil
	}
	for _, span := range b.Spans {
		n := s.size(span)
		if n > s.max-process {
			n = cutSpan(span, s.max-process, s.size)
			s.metrics.cut.Add(ctx, 1)
		}
		if n > room {
			if err := flush(); err != nil {
				return sent, err
			}
		}
		packet = append(packet, span)
		room -= n
	}
	return sent, flush()
}

// size returns the length of what is encoded.
func (s *overUDP) size(x thrift.TStruct) int {
	s.buf.Reset()
	_ = x.Write(context.Background(), s.proto) // memory takes everything
	return s.buf.Len()
}

func (s *overUDP) close() error { return s.client.Close() }
