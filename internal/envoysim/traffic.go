package envoysim

import (
	"fmt"
	"math/rand/v2"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Traffic is what the simulated proxies send, serialised. It is immutable.
type Traffic struct {
	Profile Profile
	streams []stream
}

// stream is what one proxy sends: first once, then frames round and round.
type stream struct {
	first  []byte
	frames []frame
}

type frame struct {
	bytes   []byte
	entries int
}

// NewTraffic builds the messages of every stream of p.
func NewTraffic(p Profile) (*Traffic, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("simulated mesh: %w", err)
	}
	t := &Traffic{Profile: p, streams: make([]stream, p.Streams)}
	for s := range t.streams {
		w := &writer{rnd: rand.New(rand.NewPCG(p.Seed, uint64(s))), now: time.Now()}
		st, err := p.stream(s, w)
		if err != nil {
			return nil, fmt.Errorf("building stream %d: %w", s, err)
		}
		t.streams[s] = st
	}
	return t, nil
}

// EntryBytes returns the mean size of an entry on the wire.
func (t *Traffic) EntryBytes() float64 {
	var bytes, entries int
	for _, s := range t.streams {
		for _, f := range s.frames {
			bytes += len(f.bytes)
			entries += f.entries
		}
	}
	return float64(bytes) / float64(entries)
}

// Round returns the entries in one round of all messages: a round reports every
// label set at least once.
func (t *Traffic) Round() (entries int64) {
	for _, s := range t.streams {
		for _, f := range s.frames {
			entries += int64(f.entries)
		}
	}
	return entries
}

func (p Profile) stream(s int, w *writer) (stream, error) {
	var http, tcp []tuple
	for _, t := range p.tuples(s) {
		if t.protocol == protocolTCP {
			tcp = append(tcp, t)
		} else {
			http = append(http, t)
		}
	}
	n := p.EntriesPerMessage
	messages := func(share, all []tuple) int { // so that every label set is sent, and the shares hold
		return max((len(share)+n-1)/n, p.MinMessages*len(share)/max(len(all), 1))
	}
	all := append(append([]tuple(nil), http...), tcp...)
	var st stream
	add := func(m *alsv3.StreamAccessLogsMessage) error {
		b, err := proto.Marshal(m)
		if err != nil {
			return fmt.Errorf("serialising a message: %w", err)
		}
		st.frames = append(st.frames, frame{bytes: b, entries: n})
		return nil
	}
	for m := range messages(http, all) {
		logs := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
		for i := range n {
			logs.LogEntry = append(logs.LogEntry, w.http(&http[(m*n+i)%len(http)]))
		}
		if err := add(&alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}}); err != nil {
			return st, err
		}
	}
	for m := range messages(tcp, all) {
		logs := &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{}
		for i := range n {
			logs.LogEntry = append(logs.LogEntry, w.tcp(&tcp[(m*n+i)%len(tcp)]))
		}
		if err := add(&alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: logs}}); err != nil {
			return st, err
		}
	}
	w.rnd.Shuffle(len(st.frames), func(i, j int) { st.frames[i], st.frames[j] = st.frames[j], st.frames[i] })
	id, err := p.identifier(s, all[0])
	if err != nil {
		return st, err
	}
	if st.first, err = proto.Marshal(&alsv3.StreamAccessLogsMessage{Identifier: id}); err != nil {
		return st, fmt.Errorf("serialising the identifier: %w", err)
	}
	return st, nil
}

// identifier is what istiod's bootstrap makes a sidecar say of itself.
func (p Profile) identifier(s int, t tuple) (*alsv3.StreamAccessLogsMessage_Identifier, error) {
	w := t.self
	pod := fmt.Sprintf("%s-5b7d9c6f4-%05d", w.name(), s)
	meta, err := structpb.NewStruct(map[string]any{
		"NAME":            pod,
		"NAMESPACE":       w.namespace(),
		"WORKLOAD_NAME":   w.name(),
		"CLUSTER_ID":      "Kubernetes",
		"SERVICE_ACCOUNT": w.account(),
		"ISTIO_VERSION":   "1.27.1",
		"MESH_ID":         "cluster.local",
		"INSTANCE_IPS":    w.address(),
		"LABELS": map[string]any{
			"app":                                 w.serviceName(),
			"version":                             w.version(),
			"service.istio.io/canonical-name":     w.serviceName(),
			"service.istio.io/canonical-revision": w.version(),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("node metadata: %w", err)
	}
	return &alsv3.StreamAccessLogsMessage_Identifier{
		LogName: "tallygate",
		Node: &corev3.Node{
			Id:            fmt.Sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", w.address(), pod, w.namespace(), w.namespace()),
			Cluster:       w.serviceName() + "." + w.namespace(),
			Metadata:      meta,
			UserAgentName: "envoy",
		},
	}, nil
}
