package als

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// fakeStream is a grpc.ServerStream over a channel. Like gRPC's, its reads end
// when the handler has returned.
type fakeStream struct {
	ctx      context.Context
	cancel   context.CancelFunc
	messages chan []byte // closed: the client is done
	sent     int
}

func (s *fakeStream) SetHeader(metadata.MD) error  { return nil }
func (s *fakeStream) SendHeader(metadata.MD) error { return nil }
func (s *fakeStream) SetTrailer(metadata.MD)       {}
func (s *fakeStream) Context() context.Context     { return s.ctx }
func (s *fakeStream) SendMsg(any) error            { s.sent++; return nil }

func (s *fakeStream) RecvMsg(m any) error {
	select {
	case b, ok := <-s.messages:
		if !ok {
			return io.EOF
		}
		return ingest.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m.(*ingest.Frame))
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// run serves a fake stream.
func run(s *Server) (fs *fakeStream, done <-chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	fs = &fakeStream{ctx: ctx, cancel: cancel, messages: make(chan []byte)}
	result := make(chan error, 1)
	go func() {
		err := s.serve(fs)
		cancel()
		result <- err
	}()
	return fs, result
}

func TestDrain(t *testing.T) {
	data := mustMarshal(t, sampleMessage(0, 10))
	f := func(name string, play func(t *testing.T, s *Server, fs *fakeStream), want time.Duration, entries int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			sink := new(memorySink)
			s, reg := newTestServer(t, sink, nil)
			fs, done := run(s)
			fs.messages <- data
			synctest.Wait()
			start := time.Now()
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(context.Background()) }()
			play(t, s, fs)
			if err := <-done; err != nil {
				t.Errorf("%s: handler: %v", name, err)
			}
			took := time.Since(start)
			if err := <-drained; err != nil {
				t.Errorf("%s: drain: %v", name, err)
			}
			if took < want || took > want+2*quiet {
				t.Errorf("%s: the stream ended after %v; want %v", name, took, want)
			}
			if fs.sent != 1 {
				t.Errorf("%s: %d answers; want 1", name, fs.sent)
			}
			if got := len(sink.all()); got != entries {
				t.Errorf("%s: %d entries counted; want %d", name, got, entries)
			}
			if n := ingesttest.Metric(t, reg, "tallygate_als_streams_ended_total", endDrain); n != 1 {
				t.Errorf("%s: %v streams ended for the drain; want 1", name, n)
			}
		})
	}
	f("idle", func(*testing.T, *Server, *fakeStream) {}, idle, 10)
	f("after its next message", func(_ *testing.T, _ *Server, fs *fakeStream) {
		time.Sleep(100 * time.Millisecond)
		fs.messages <- data
	}, 100*time.Millisecond+quiet, 20)
	f("after the last of a burst", func(_ *testing.T, _ *Server, fs *fakeStream) {
		time.Sleep(100 * time.Millisecond)
		for range 100 {
			fs.messages <- data
			time.Sleep(quiet / 2)
		}
	}, 100*time.Millisecond+99*quiet/2+quiet, 10+1000)
}

// A stream without pauses ends too, after one of its messages.
func TestDrainPauseless(t *testing.T) {
	data := mustMarshal(t, sampleMessage(0, 10))
	f := func(name string, first, every, within time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			sink := new(memorySink)
			s, _ := newTestServer(t, sink, nil)
			fs, done := run(s)
			sent := make(chan int)
			go func() {
				n := 0
				defer func() { sent <- n }()
				fs.messages <- data
				n++
				for pause := first; ; pause = every {
					time.Sleep(pause)
					select {
					case fs.messages <- data:
						n++
					case <-fs.ctx.Done():
						return
					}
				}
			}()
			time.Sleep(first + 20*every)
			start := time.Now()
			if err := s.Drain(context.Background()); err != nil {
				t.Errorf("%s: drain: %v", name, err)
			}
			if took := time.Since(start); took > within {
				t.Errorf("%s: the stream ended after %v; want it within %v", name, took, within)
			}
			if err := <-done; err != nil {
				t.Errorf("%s: handler: %v", name, err)
			}
			if n, got := <-sent, len(sink.all()); got != 10*n {
				t.Errorf("%s: %d entries counted of %d sent", name, got, 10*n)
			}
		})
	}
	f("even", time.Millisecond, time.Millisecond, 10*time.Millisecond)
	f("close", 300*time.Microsecond, 300*time.Microsecond, 10*time.Millisecond)
	f("after a long pause", time.Second, time.Millisecond, patience+10*time.Millisecond)
}

func TestDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, discard{}, nil)
		fs, done := run(s)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v; want a deadline", err)
		}
		<-done
		if fs.ctx.Err() == nil {
			t.Error("the handler did not return")
		}
		if err := s.Drain(context.Background()); err != nil {
			t.Errorf("second Drain: %v", err)
		}
	})
}

func TestConnectionAge(t *testing.T) {
	data := mustMarshal(t, sampleMessage(0, 10))
	synctest.Test(t, func(t *testing.T) {
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, func(c *Config) { c.ConnectionAge, c.ConnectionAgeJitter = time.Minute, 0.5 })
		start := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		ages := make(map[time.Duration]bool)
		for range 20 {
			fs, done := run(s)
			wg.Go(func() {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case err := <-done:
						age := time.Since(start)
						if err != nil || age < 30*time.Second || age > 91*time.Second {
							t.Errorf("a stream ended after %v: %v", age, err)
						}
						mu.Lock()
						defer mu.Unlock()
						ages[age.Truncate(time.Second)] = true
						return
					case <-tick.C:
						fs.messages <- data
					}
				}
			})
		}
		wg.Wait()
		if len(ages) < 5 {
			t.Errorf("20 streams ended at only %d different ages", len(ages))
		}
		checkBooks(t, reg, len(sink.all()))
		if n := ingesttest.Metric(t, reg, "tallygate_als_streams_ended_total", endAge); n != 20 {
			t.Errorf("%v streams ended for their age; want 20", n)
		}
	})
}

// TestBackpressure holds the sink: nothing is shed, and at most Decoders messages
// are worked on.
func TestBackpressure(t *testing.T) {
	data := mustMarshal(t, sampleMessage(0, 10))
	synctest.Test(t, func(t *testing.T) {
		sink := &blockingSink{release: make(chan struct{})}
		s, reg := newTestServer(t, sink, func(c *Config) { c.Decoders = 2 })
		var ends []<-chan error
		for range 5 {
			fs, done := run(s)
			ends = append(ends, done)
			go func() {
				for range 3 {
					fs.messages <- data
				}
				close(fs.messages)
			}()
		}
		synctest.Wait()
		if n := sink.inside.Load(); n != 2 {
			t.Errorf("%d messages worked on at once; want 2", n)
		}
		close(sink.release)
		for _, done := range ends {
			if err := <-done; err != nil {
				t.Errorf("stream: %v", err)
			}
		}
		checkBooks(t, reg, int(sink.counted.Load()))
		if n := sink.counted.Load(); n != 150 {
			t.Errorf("%d entries counted; want 150", n)
		}
	})
}
