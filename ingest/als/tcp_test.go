package als

import (
	"testing"
	"time"

	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func tcpMessage(entries ...*alfv3.TCPAccessLogEntry) *alsv3.StreamAccessLogsMessage {
	return &alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_TcpLogs{
		TcpLogs: &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{LogEntry: entries}}}
}

func tcpEntry(id string, start time.Time, typ alfv3.AccessLogType, received, sent uint64) *alfv3.TCPAccessLogEntry {
	e := &alfv3.TCPAccessLogEntry{
		CommonProperties: &alfv3.AccessLogCommon{
			StreamId: id, AccessLogType: typ, StartTime: timestamppb.New(start),
			UpstreamCluster: "outbound|3306||mysql.default.svc.cluster.local",
		},
		ConnectionProperties: &alfv3.ConnectionProperties{ReceivedBytes: received, SentBytes: sent},
	}
	if typ == alfv3.AccessLogType_TcpConnectionStart {
		e.CommonProperties.UpstreamCluster = ""
	}
	if typ == alfv3.AccessLogType_TcpConnectionEnd || typ == alfv3.AccessLogType_NotSet {
		e.CommonProperties.Duration = durationpb.New(time.Second)
	}
	return e
}

const (
	tcpStart     = alfv3.AccessLogType_TcpConnectionStart
	tcpConnected = alfv3.AccessLogType_TcpUpstreamConnected
	tcpPeriodic  = alfv3.AccessLogType_TcpPeriodic
	tcpEnd       = alfv3.AccessLogType_TcpConnectionEnd
	tcpUntyped   = alfv3.AccessLogType_NotSet
)

type tcpStep struct {
	typ            alfv3.AccessLogType
	received, sent uint64
}

type tcpTotal struct {
	received, sent, opened, closed uint64
	baselines                      float64
}

// TestTCP plays the entries of one connection. It started age ago, the stream
// and the process a minute ago.
func TestTCP(t *testing.T) {
	f := func(age time.Duration, want tcpTotal, steps ...tcpStep) {
		t.Helper()
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, nil)
		st := identified(t, s)
		st.opened = time.Now().Add(-time.Minute)
		s.tcp.since = st.opened.UnixNano()
		start := time.Now().Add(-age)
		for _, step := range steps {
			m := tcpMessage(tcpEntry("c1", start, step.typ, step.received, step.sent))
			if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		var got tcpTotal
		for _, e := range sink.all() {
			got.received += e.ReceivedBytes
			got.sent += e.SentBytes
			if e.Opened {
				got.opened++
			}
			if e.Closed {
				got.closed++
			}
		}
		got.baselines = ingesttest.Metric(t, reg, "tallygate_als_tcp_baselines_total")
		if got != want {
			t.Errorf("%+v: got %+v; want %+v", steps, got, want)
		}
		checkBooks(t, reg, len(sink.all()))
	}
	const young, old = 5 * time.Second, time.Hour

	// Everything is seen.
	f(young, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpStart, 0, 0}, tcpStep{tcpConnected, 0, 0}, tcpStep{tcpPeriodic, 10, 100}, tcpStep{tcpEnd, 30, 300})
	f(young, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpConnected, 5, 0}, tcpStep{tcpEnd, 30, 300})
	f(young, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpPeriodic, 10, 100}, tcpStep{tcpPeriodic, 10, 100}, tcpStep{tcpEnd, 30, 300})
	f(young, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpEnd, 30, 300})
	f(young, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpUntyped, 30, 300})
	f(old, tcpTotal{30, 300, 1, 1, 0}, tcpStep{tcpStart, 0, 0}, tcpStep{tcpEnd, 30, 300})
	// The opening waits until it is known where the connection goes.
	f(young, tcpTotal{}, tcpStep{tcpStart, 0, 0})
	f(young, tcpTotal{0, 0, 1, 0, 0}, tcpStep{tcpStart, 0, 0}, tcpStep{tcpConnected, 0, 0})
	// First seen in the middle: what was before is not ours to count.
	f(old, tcpTotal{20, 200, 0, 1, 1}, tcpStep{tcpPeriodic, 10, 100}, tcpStep{tcpEnd, 30, 300})
	f(old, tcpTotal{0, 0, 0, 1, 1}, tcpStep{tcpEnd, 30, 300})
	f(old, tcpTotal{0, 0, 0, 1, 1}, tcpStep{tcpUntyped, 30, 300})
	f(old, tcpTotal{5, 0, 0, 0, 1}, tcpStep{tcpConnected, 10, 0}, tcpStep{tcpPeriodic, 15, 0})
	// A count that shrinks adds nothing.
	f(young, tcpTotal{10, 110, 1, 0, 0}, tcpStep{tcpPeriodic, 10, 100}, tcpStep{tcpPeriodic, 4, 100}, tcpStep{tcpPeriodic, 10, 110})
}

// TestTCPHandshake: the upstream is connected before the handshake has shown the
// client's certificate. The opening counts under who it turns out to be.
func TestTCPHandshake(t *testing.T) {
	sink := new(memorySink)
	s, reg := newTestServer(t, sink, nil)
	st := identified(t, s)
	san := func(uri string) *alfv3.TLSProperties_CertificateProperties {
		return &alfv3.TLSProperties_CertificateProperties{SubjectAltName: []*alfv3.TLSProperties_CertificateProperties_SubjectAltName{
			{San: &alfv3.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: uri}},
		}}
	}
	const client = "spiffe://td/ns/web/sa/client"
	for _, typ := range []alfv3.AccessLogType{tcpStart, tcpConnected, tcpEnd} {
		e := tcpEntry("c1", time.Now().Add(-time.Second), typ, 0, 0)
		e.CommonProperties.UpstreamCluster = "inbound|7000||"
		e.CommonProperties.TlsProperties = &alfv3.TLSProperties{LocalCertificateProperties: san("spiffe://td/ns/db/sa/server")}
		if typ == tcpEnd {
			e.CommonProperties.TlsProperties.PeerCertificateProperties = san(client)
		}
		if err := st.message(mustMarshal(t, tcpMessage(e)), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	got := sink.all()
	if len(got) != 1 || !got[0].Opened || !got[0].Closed || got[0].Source.Value().Principal != client || got[0].Security != mesh.SecurityMutualTLS {
		t.Errorf("counted %+v; want one entry of %s that opens and closes", got, client)
	}
	checkBooks(t, reg, len(got))
}

// TestTCPRestart runs a long connection over three lives of the service: nothing
// is counted twice, and what is known to be ours is counted.
func TestTCPRestart(t *testing.T) {
	start := time.Now().Add(-time.Minute)
	var total uint64
	life := func(steps ...tcpStep) {
		sink := new(memorySink)
		s, _ := newTestServer(t, sink, nil)
		st := identified(t, s)
		for _, step := range steps {
			m := tcpMessage(tcpEntry("long", start, step.typ, step.received, 0))
			if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range sink.all() {
			total += e.ReceivedBytes
		}
	}
	life(tcpStep{tcpStart, 0, 0}, tcpStep{tcpPeriodic, 100, 0})
	life(tcpStep{tcpPeriodic, 150, 0}, tcpStep{tcpPeriodic, 200, 0})
	life(tcpStep{tcpEnd, 1000, 0})
	if total != 150 {
		t.Errorf("%d bytes counted; want 150: 100 in the first life, 50 in the second", total)
	}
}

// TestTCPSharedTable lets a connection's stream end and another one of the same
// node go on.
func TestTCPSharedTable(t *testing.T) {
	sink := new(memorySink)
	s, _ := newTestServer(t, sink, nil)
	start := time.Now().Add(-time.Minute)
	for _, step := range []tcpStep{{tcpStart, 0, 0}, {tcpPeriodic, 100, 0}, {tcpPeriodic, 300, 0}, {tcpEnd, 350, 0}} {
		st := identified(t, s)
		m := tcpMessage(tcpEntry("c", start, step.typ, step.received, 0))
		if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var total uint64
	for _, e := range sink.all() {
		total += e.ReceivedBytes
	}
	if total != 350 {
		t.Errorf("%d bytes counted; want 350", total)
	}
	if n := s.tcp.size(); n != 0 {
		t.Errorf("%d connections left in the table; want 0", n)
	}
}

// TestTCPBounds forgets connections that are idle or too many; they are never
// counted from zero again.
func TestTCPBounds(t *testing.T) {
	s, reg := newTestServer(t, discard{}, func(c *Config) { c.TCP.MaxConnections = tcpShards })
	now := time.Now()
	ev := func(id string, phase tcpPhase, received uint64) tcpDelta {
		return s.tcp.observe(&tcpEvent{id: id, phase: phase, received: received, started: now.UnixNano(), fresh: now.UnixNano() - 1}, now.UnixNano())
	}
	for i := range 10 * tcpShards {
		ev(string(rune('a'+i)), tcpStarts, 0)
	}
	if n := s.tcp.size(); n > tcpShards {
		t.Errorf("%d connections in a table of %d", n, tcpShards)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_tcp_evictions_total", "full"); n < 9*tcpShards {
		t.Errorf("%v evictions; want at least %d", n, 9*tcpShards)
	}
	s.tcp.expire(now.Add(2 * time.Hour))
	if n := s.tcp.size(); n != 0 {
		t.Errorf("%d connections left after the idle timeout", n)
	}
	if d := ev("a", tcpContinues, 500); d.received != 0 || !d.baseline {
		t.Errorf("a forgotten connection adds %+v; want a baseline", d)
	}
}
