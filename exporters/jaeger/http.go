package jaeger

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/uber/jaeger-client-go/thrift"
	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
)

// overHTTP posts batches in Thrift's binary protocol.
type overHTTP struct {
	client *http.Client
	url    string
}

func newHTTP(ctx context.Context, cfg *Config, host component.Host, set exporter.Settings) (sender, error) {
	client, err := cfg.ClientConfig.ToClient(ctx, host.GetExtensions(), set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &overHTTP{client: client, url: cfg.ClientConfig.Endpoint}, nil
}

func (s *overHTTP) send(ctx context.Context, b *jaeger.Batch) (int, error) {
	buf := thrift.NewTMemoryBuffer()
	if err := b.Write(ctx, thrift.NewTBinaryProtocolConf(buf, nil)); err != nil {
		return 0, consumererror.NewPermanent(fmt.Errorf("encoding Thrift: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(buf.Bytes()))
	if err != nil {
		return 0, consumererror.NewPermanent(err)
	}
	req.Header.Set("Content-Type", "application/x-thrift")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode/100 == 2 {
		return len(b.Spans), nil
	}
	err = fmt.Errorf("%s: %s: %s", s.url, resp.Status, strings.TrimSpace(string(body)))
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return 0, err
	}
	return 0, consumererror.NewPermanent(err)
}

func (s *overHTTP) close() error {
	s.client.CloseIdleConnections()
	return nil
}
