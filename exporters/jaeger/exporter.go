package jaeger

import (
	"context"

	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/jaegermodel"
)

// sender sends a batch, whole.
type sender interface {
	// send returns how many spans it sent before it failed.
	send(ctx context.Context, b *jaeger.Batch) (sent int, err error)
	close() error
}

type traces struct {
	cfg     *Config
	set     exporter.Settings
	metrics *metrics
	sender  sender
}

func (e *traces) start(ctx context.Context, host component.Host) (err error) {
	if e.cfg.Protocol == ThriftCompact {
		e.sender, err = newUDP(e.cfg, e.metrics)
		return err
	}
	e.sender, err = newHTTP(ctx, e.cfg, host, e.set)
	return err
}

func (e *traces) shutdown(context.Context) error {
	if e.sender == nil {
		return nil
	}
	return e.sender.close()
}

// push sends the spans process by process. The error has what is left.
func (e *traces) push(ctx context.Context, td ptrace.Traces) error {
	sent := 0
	for _, b := range batches(jaegermodel.FromTraces(td)) {
		n, err := e.sender.send(ctx, b)
		sent += n
		if err != nil {
			if consumererror.IsPermanent(err) {
				return err
			}
			return consumererror.NewTraces(err, rest(td, sent))
		}
	}
	return nil
}

// rest returns the spans without the first n.
func rest(td ptrace.Traces, n int) ptrace.Traces {
	left := ptrace.NewTraces()
	td.CopyTo(left)
	left.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(ptrace.Span) bool {
				n--
				return n >= 0
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
	return left
}
