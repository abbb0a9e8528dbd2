package ingest

import (
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of the metrics.
const (
	MetricConnections          = "tallygate_ingest_connections"
	MetricConnectionsAccepted  = "tallygate_ingest_connections_accepted_total"
	MetricTLSHandshakeFailures = "tallygate_ingest_tls_handshake_failures_total"
	MetricTLSReloads           = "tallygate_ingest_tls_reloads_total"
	MetricTLSCertificateExpiry = "tallygate_ingest_tls_certificate_expiry_timestamp_seconds"
)

// Names of their labels.
const (
	LabelListener = "listener"
	LabelResult   = "result"
)

// metrics are the figures of one listener.
type metrics struct {
	connections       prometheus.Gauge
	accepted          prometheus.Counter
	handshakeFailures prometheus.Counter
	reloads           *prometheus.CounterVec // by result
	certificateExpiry prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, listener string) *metrics {
	reg = prometheus.WrapRegistererWith(prometheus.Labels{LabelListener: listener}, reg)
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricConnections,
			Help: "Open connections.",
		}),
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricConnectionsAccepted,
			Help: "Connections accepted.",
		}),
		handshakeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricTLSHandshakeFailures,
			Help: "Connections refused in the TLS handshake, such as those without a valid client certificate.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricTLSReloads,
			Help: "Times that changed certificate files were read again, by result. After a failure the last good ones stay in use.",
		}, []string{LabelResult}),
		certificateExpiry: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricTLSCertificateExpiry,
			Help: "When the certificate in use ends to be valid, Unix time. 0 without TLS.",
		}),
	}
	reg.MustRegister(m.connections, m.accepted, m.handshakeFailures, m.reloads, m.certificateExpiry)
	m.reloads.WithLabelValues("success")
	m.reloads.WithLabelValues("failure")
	return m
}

// countingListener counts connections.
type countingListener struct {
	net.Listener
	m *metrics
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.m.accepted.Inc()
	l.m.connections.Inc()
	return &countingConn{Conn: c, m: l.m}, nil
}

type countingConn struct {
	net.Conn
	m    *metrics
	once sync.Once
}

func (c *countingConn) Close() error {
	c.once.Do(c.m.connections.Dec)
	return c.Conn.Close()
}
