package als

import (
	"testing"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/wire/wiretest"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var wireStrings = []string{
	"", "a", "source_app", "reporter", "policy_rule", "decision_id", "envoy.filters.http.ext_authz", "trace_id", "destination_service", "traceparent", "x-b3-traceid",
	"content-type", "grpc-status", "downstream_peer", "upstream_peer", "wasm.downstream_peer", "wasm.upstream_peer", "envoy.filters.http.grpc_stats",
	"type.googleapis.com/google.protobuf.Struct",
	"type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterObject", "10.0.0.1", "spiffe://td/ns/n/sa/s",
	"a value of more than one hundred and twenty-seven bytes, so that its length takes two: spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
}

// randomEntries writes a message full of entries, without an identifier.
func randomEntries(w *wiretest.Writer) (b []byte) {
	md := new(alsv3.StreamAccessLogsMessage).ProtoReflect().Descriptor()
	for range 1 + w.IntN(3) {
		logs := md.Fields().ByNumber(protoreflect.FieldNumber(2 + w.IntN(2)))
		var list []byte
		entry := logs.Message().Fields().ByNumber(1)
		for range w.IntN(3) {
			list = w.Field(list, 1, w.Message(entry.Message(), 2))
		}
		b = w.Field(b, logs.Number(), list)
	}
	return b
}

func TestDecodeRandomWire(t *testing.T) {
	accepted, entries := 0, 0
	const n = 20_000
	for seed := range uint64(n) {
		w := wiretest.New(seed, wireStrings, 9)
		data := randomEntries(w)
		m := new(alsv3.StreamAccessLogsMessage)
		if proto.Unmarshal(data, m) == nil {
			accepted++
			entries += len(m.GetHttpLogs().GetLogEntry()) + len(m.GetTcpLogs().GetLogEntry())
		}
		checkFrame(t, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if len(data) > 0 { // every message cut off somewhere
			checkFrame(t, data[:w.IntN(len(data))])
		}
	}
	if accepted < n*9/10 || entries < n/2 {
		t.Errorf("of %d messages the generated code accepts %d with %d entries: the test tests little", n, accepted, entries)
	}
}
