package als

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// stream is one StreamAccessLogs call: one worker thread of one Envoy with one
// log configuration.
type stream struct {
	s      *Server
	opened time.Time

	// Of the reading goroutine alone.
	memo       memo[*resolved]
	customs    memo[customValues]
	labels     *labelSet
	generation uint64 // of the registry's snapshot that memo is from
	nodeKey    uint64 // names the proxy in the TCP table
	periodic   bool   // the log has entries of open TCP connections
	turn       uint64 // how many messages there were
	warned     bool   // that the node contradicts the certificate
	lead       int64  // by how many nanoseconds the proxy's clock is ahead of ours
	consume    context.Context

	mu sync.Mutex // guards writing id against Connections; the reading goroutine writes
	id identity

	ending ending
	stats  streamStats
}

type streamStats struct {
	entries, skipped, dropped atomic.Uint64
	last                      atomic.Int64 // when the last message came, Unix nanoseconds
	sampled                   atomic.Uint64
	missing                   [numMissing]atomic.Uint64
}

// fresh is how much later than its stream a TCP connection must have started to
// be surely unknown elsewhere: longer than Envoy holds entries back.
const fresh = time.Second

var (
	errIdentity    = errors.New("the node identifier contradicts the client certificate")
	errNoPrincipal = errors.New("the client certificate has no SPIFFE URI")
)

func (s *Server) newStream(ctx context.Context, now time.Time) *stream {
	st := &stream{
		s: s, opened: now, memo: newMemo[*resolved](s.cfg.MemoEntries, &s.memory),
		customs: newMemo[customValues](s.cfg.MemoEntries, &s.memory), labels: s.labels.Load(),
		consume: context.WithoutCancel(ctx), // what has arrived is counted, also if the proxy is gone
		ending:  newEnding(),
	}
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(*net.TCPAddr); ok {
			ip, _ := netip.AddrFromSlice(a.IP)
			st.id.remote = ip.Unmap()
		}
		if tls, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(tls.State.VerifiedChains) > 0 {
			st.id.certified = true
			st.id.principal = certificatePrincipal(tls.State.VerifiedChains[0][0])
		}
	}
	st.stats.last.Store(now.UnixNano())
	st.setNode(node{})
	return st
}

// serve is the handler of a stream. The messages are read in a goroutine of
// their own, so that the handler can return while a read is blocked: that is
// the only way to end a stream which loses nothing.
func (s *Server) serve(ss grpc.ServerStream) error {
	st := s.newStream(ss.Context(), time.Now())
	s.add(st)
	done := make(chan error, 1)
	go func() {
		err := st.read(ss)
		s.remove(st)
		done <- err
	}()
	reason, err := st.wait(done)
	s.m.sessions.WithLabelValues(reason).Inc()
	if err != nil {
		return err
	}
	if err := ss.SendMsg(ingest.NewFrame(nil)); err != nil { // an empty StreamAccessLogsResponse
		return fmt.Errorf("answer access-log stream: %w", err)
	}
	return nil
}

// read takes messages until the stream ends. A nil error means that the client
// closed it.
func (st *stream) read(ss grpc.ServerStream) error {
	var f ingest.Frame
	defer f.Free()
	st.ending.wait(st.opened)
	for {
		err := ss.RecvMsg(&f)
		arrived := time.Now()
		st.ending.arrived(arrived)
		if err == io.EOF {
			return nil
		}
		if status.Code(err) == codes.ResourceExhausted {
			st.s.books.refusedFrames[refusedTooLarge].Add(1)
			st.s.books.frames.Add(1)
		}
		if err != nil {
			return err
		}
		err = st.message(f.Bytes(), arrived)
		f.Free()
		if err != nil {
			return err
		}
		counted := time.Now()
		st.s.m.latency.Observe(counted.Sub(arrived).Seconds())
		st.stats.last.Store(arrived.UnixNano())
		st.ending.wait(counted)
	}
}

// message counts the entries of one message.
func (st *stream) message(b []byte, arrived time.Time) error {
	books := &st.s.books
	books.frames.Add(1)
	books.bytes.Add(uint64(len(b)))
	refuse := func(why refusal) {
		books.refusedFrames[why].Add(1)
		books.refusedBytes[why].Add(uint64(len(b)))
	}
	f, ok := scan(b)
	if !ok {
		refuse(refusedMalformed)
		return nil
	}
	if f.hasIdentifier {
		n, ok := parseNode(&f)
		if !ok {
			refuse(refusedIdentifier)
			return nil
		}
		if err := st.identify(n, arrived); err != nil {
			refuse(refusedIdentity)
			return err
		}
	}
	if f.entries == 0 {
		return nil
	}
	books.received.Add(uint64(f.entries))
	w := st.s.take()
	w.count(st, &f, arrived)
	st.s.give(w)
	return nil
}

// identify takes the node identifier of the stream.
func (st *stream) identify(n node, now time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.id.forget(st.s.registry, now)
	st.memo.clear()
	st.setNode(n)
	if st.id.certified && st.id.principal == "" && st.s.cfg.Identity == IdentityStrict {
		st.s.m.refused.Inc()
		return errNoPrincipal
	}
	if !st.id.claim(n) {
		st.s.m.mismatches.Inc()
		level := slog.LevelWarn
		if st.warned {
			level = slog.LevelDebug
		}
		st.warned = true
		st.s.log.Log(context.Background(), level, "access-log stream contradicts its client certificate",
			slog.String("remote", st.id.remote.String()), slog.String("principal", st.id.principal),
			slog.String("node", n.id), slog.String("namespace", n.workload.Namespace),
			slog.String("service_account", n.serviceAccount))
		if st.s.cfg.Identity == IdentityStrict {
			st.s.m.refused.Inc()
			return errIdentity
		}
	}
	if st.s.cfg.Learned.Enabled {
		st.id.learn(st.s.registry, st.s.cfg.Identity == IdentityPermissive, now)
	}
	return nil
}

// setNode names the proxy for the TCP table.
func (st *stream) setNode(n node) {
	var h maphash.Hash
	h.SetSeed(memoSeed)
	name := n.id
	if name == "" {
		name = st.id.remote.String()
	}
	h.WriteString(name)
	h.WriteByte(0)
	h.WriteString(n.logName)
	h.WriteByte(0)
	h.WriteString(st.id.principal)
	st.nodeKey = h.Sum64()
	st.periodic = st.s.tcp.logsPeriodically(st.nodeKey)
}

// refresh forgets what was remembered under other circumstances.
func (st *stream) refresh(labels *labelSet) *snapshot {
	s := st.s.registry.snapshot.Load()
	if s.generation != st.generation {
		st.memo.clear()
		st.generation = s.generation
	}
	if labels != st.labels {
		st.customs.clear()
		st.labels = labels
	}
	return s
}

// authority reports whether the authority may name the service of an entry.
func (st *stream) authority(r *record, reporter mesh.Reporter) bool {
	return st.s.cfg.AuthorityFallback && reporter == mesh.ReporterSource && st.id.node.role != roleRouter &&
		r.told(slot(mesh.LabelDestinationService)) == "" && clusterHost(r.get(slotUpstreamCluster)) == ""
}
