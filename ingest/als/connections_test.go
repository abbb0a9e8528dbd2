package als

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
)

func TestConnections(t *testing.T) {
	ca := newAuthority(t)
	s, _ := newTestServer(t, discard{}, nil)
	dialAs := serveTLS(t, s, ca)
	const reviews = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
	send := func(client alsv3.AccessLogServiceClient, ms ...*alsv3.StreamAccessLogsMessage) alsv3.AccessLogService_StreamAccessLogsClient {
		t.Helper()
		stream, err := client.StreamAccessLogs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			if err := stream.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		return stream
	}
	good := sampleMessage(0, 10)
	good.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(t), LogName: "mesh"}
	bare := sampleMessage(0, 10)
	bare.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: &corev3.Node{Id: "bare"}, LogName: "x"}
	for _, e := range bare.GetHttpLogs().GetLogEntry() {
		e.CommonProperties.CustomTags, e.CommonProperties.TlsProperties, e.CommonProperties.UpstreamCluster = nil, nil, "c"
		e.Request.RequestHeaders, e.Request.RequestMethod = nil, corev3.RequestMethod_POST
	}
	client := dialAs(reviews)
	streams := []alsv3.AccessLogService_StreamAccessLogsClient{
		send(client, good, sampleMessage(10, 5)), send(client, good), send(dialAs("spiffe://cluster.local/other"), bare),
	}
	deadline := time.Now().Add(10 * time.Second)
	var got []Connection
	for {
		got = s.Connections()
		if len(got) == 2 && got[0].Entries+got[1].Entries == 35 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections: %+v", got)
		}
		time.Sleep(time.Millisecond)
	}
	b, g := got[0], got[1]
	if g.Node != sampleNode(t).Id || g.Role != "sidecar" || g.Workload != "reviews-v1" || g.Namespace != "default" || g.Version != "1.27.0" ||
		g.Remote != "127.0.0.1" || g.Principal != reviews || g.Streams != 2 || g.Entries != 25 || len(g.Logs) != 1 || g.Mismatch || len(g.Missing) != 0 {
		t.Errorf("a sidecar: %+v", g)
	}
	if age := time.Since(g.LastMessage); age < 0 || age > time.Minute {
		t.Errorf("its last message is %v old", age)
	}
	missing := make(map[string]float64)
	for _, m := range b.Missing {
		missing[m.What] = m.Share
		if m.Why == "" {
			t.Errorf("no reason why %s is missing", m.What)
		}
	}
	for _, what := range []string{"node identifier", "reporter", "peer workload", "peer namespace", "destination service", "trace id", "content type"} {
		if missing[what] != 1 {
			t.Errorf("a bare Envoy: %q is missing in %v of the entries; want 1", what, missing[what])
		}
	}
	if b.Node != "bare" || len(b.Missing) != 7 {
		t.Errorf("a bare Envoy: %+v", b)
	}
	for _, stream := range streams {
		if _, err := stream.CloseAndRecv(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
