package als

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// identified returns a stream of s that has sent its node identifier.
func identified(t testing.TB, s *Server) *stream {
	t.Helper()
	st := s.newStream(t.Context(), time.Now())
	m := &alsv3.StreamAccessLogsMessage{Identifier: &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(t), LogName: "mesh"}}
	if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
		t.Fatalf("identify: %v", err)
	}
	return st
}

func TestMessageDoesNotAllocate(t *testing.T) {
	f := func(name string, change func(m *alsv3.StreamAccessLogsMessage)) {
		t.Helper()
		s, _ := newTestServer(t, discard{}, nil, mesh.CustomLabel{Name: "app", Tag: "source_app"}, mesh.CustomLabel{Name: "none"},
			mesh.CustomLabel{Name: "policy_rule", Metadata: "envoy.filters.http.ext_authz:policy_rule"})
		st := identified(t, s)
		m := sampleMessage(0, 50)
		change(m)
		data := mustMarshal(t, m)
		now := time.Now()
		if n := testing.AllocsPerRun(100, func() {
			if err := st.message(data, now); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per message; want 0", name, n)
		}
	}
	f("sample", func(*alsv3.StreamAccessLogsMessage) {})
	f("intermediate", func(m *alsv3.StreamAccessLogsMessage) {
		for i, e := range m.GetHttpLogs().GetLogEntry() {
			e.GetCommonProperties().AccessLogType = alfv3.AccessLogType(i % 15)
		}
	})
	f("peer metadata", func(m *alsv3.StreamAccessLogsMessage) {
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			e.GetCommonProperties().CustomTags = map[string]string{"reporter": "1"}
			e.GetCommonProperties().FilterStateObjects = map[string]*anypb.Any{"downstream_peer": mustAny(t, mustStruct(t, map[string]any{
				"namespace": "default", "workload": "productpage-v1", "app": "productpage", "cluster": "Kubernetes",
				"labels": map[string]any{"version": "v1"},
			}))}
		}
	})
	f("dynamic metadata", func(m *alsv3.StreamAccessLogsMessage) {
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			e.GetCommonProperties().Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
				"envoy.filters.http.ext_authz": mustStruct(t, map[string]any{"decision_id": "x", "policy_rule": "envoy.authz.allow:7"}),
			}}
		}
	})
	f("TCP", func(m *alsv3.StreamAccessLogsMessage) {
		tcp := tcpMessage()
		for i := range 50 {
			tcp.GetTcpLogs().LogEntry = append(tcp.GetTcpLogs().LogEntry, tcpEntry(fmt.Sprint("c", i), time.Now(), 2, 100, 200))
		}
		m.LogEntries = tcp.LogEntries
	})
}

// lendingSink keeps what it is handed, as no sink may.
type lendingSink struct {
	t    *testing.T
	lent []string
	kept []mesh.Entry
}

func (s *lendingSink) Consume(_ context.Context, b *mesh.Batch) error {
	for _, e := range b.Entries {
		s.lent = append(s.lent, e.TraceID)
		s.kept = append(s.kept, e)
	}
	return nil
}

// TestFrameIsLent overwrites the frame after each message: what is lent changes
// with it, what is canonical does not.
func TestFrameIsLent(t *testing.T) {
	sink := &lendingSink{t: t}
	s, _ := newTestServer(t, sink, nil, mesh.CustomLabel{Name: "app", Tag: "source_app"})
	st := s.newStream(t.Context(), time.Now())
	send := func(m *alsv3.StreamAccessLogsMessage) {
		data := mustMarshal(t, m)
		if err := st.message(data, time.Now()); err != nil {
			t.Fatal(err)
		}
		for i := range data {
			data[i] = 'X'
		}
	}
	send(&alsv3.StreamAccessLogsMessage{Identifier: &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(t), LogName: "mesh"}})
	for i := range 3 {
		send(sampleMessage(10*i, 10))
	}
	if len(sink.kept) != 30 {
		t.Fatalf("%d entries; want 30", len(sink.kept))
	}
	for i, e := range sink.kept {
		if want := sink.kept[0]; e.Source != want.Source || e.Destination != want.Destination || e.Service != want.Service || e.Custom != want.Custom {
			t.Errorf("entry %d has other identities than the first: %+v", i, e)
		}
		if e.Source.Value().Name != "productpage-v1" || e.Destination.Value().Name != "reviews-v1" || e.Custom.Value() != "productpage\x00" {
			t.Errorf("entry %d: canonical values changed with the frame: %+v %q", i, e.Source.Value(), e.Custom.Value())
		}
		if sink.lent[i] != "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX" {
			t.Errorf("entry %d: the trace id %q does not lie in the frame", i, sink.lent[i])
		}
	}
}
