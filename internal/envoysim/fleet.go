package envoysim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Fleet is the proxies, connected. Its methods must not be called concurrently.
type Fleet struct {
	traffic *Traffic
	conns   []*grpc.ClientConn
	streams []grpc.ClientStream
	next    []int // the frame that the stream sends next
	cancel  context.CancelFunc
}

// Sent is what one call of Send sent.
type Sent struct {
	Entries, Messages, Bytes int64
	Elapsed                  time.Duration // until the last message was handed to HTTP/2
	Late                     time.Duration // how far a rate fell behind at worst; 0 without a rate
}

// Dial connects one proxy per stream of t to the gRPC target, opens the streams
// and sends their identifiers. ctx bounds the connections' life. Without opts
// the connections are in plain text.
func Dial(ctx context.Context, target string, t *Traffic, opts ...grpc.DialOption) (*Fleet, error) {
	if len(opts) == 0 {
		opts = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &Fleet{traffic: t, cancel: cancel, next: make([]int, len(t.streams))}
	desc := &grpc.StreamDesc{StreamName: "StreamAccessLogs", ClientStreams: true}
	for i := range t.streams {
		cc, err := grpc.NewClient(target, opts...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connecting to %s: %w", target, err), f.abort())
		}
		f.conns = append(f.conns, cc)
		s, err := cc.NewStream(ctx, desc, alsv3.AccessLogService_StreamAccessLogs_FullMethodName, grpc.ForceCodecV2(rawCodec{}))
		if err == nil {
			err = s.SendMsg(&t.streams[i].first)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening stream %d to %s: %w", i, target, err), f.abort())
		}
		f.streams = append(f.streams, s)
	}
	return f, nil
}

// Send sends at least the given number of entries, spread evenly over the
// streams, in whole messages: as fast as flow control lets it, or at rate
// entries/s over all streams if rate is positive. It returns early with an
// error if ctx ends or a stream breaks.
func (f *Fleet) Send(ctx context.Context, entries int64, rate float64) (Sent, error) {
	var mu sync.Mutex
	var total Sent
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	n := int64(len(f.streams))
	for i := range f.streams {
		g.Go(func() error {
			// A stream starts at its own fraction of the period: real proxies do not
			// flush in step.
			offset := time.Duration(0)
			if rate > 0 {
				period := float64(f.traffic.Profile.EntriesPerMessage) * float64(n) / rate
				offset = time.Duration(period * 1e9 * float64(i) / float64(n))
			}
			sent, err := f.sendOne(ctx, i, (entries+n-1)/n, rate/float64(n), start.Add(offset))
			mu.Lock()
			defer mu.Unlock()
			total.Entries += sent.Entries
			total.Messages += sent.Messages
			total.Bytes += sent.Bytes
			total.Late = max(total.Late, sent.Late)
			return err
		})
	}
	err := g.Wait()
	total.Elapsed = time.Since(start)
	return total, err
}

func (f *Fleet) sendOne(ctx context.Context, i int, entries int64, rate float64, start time.Time) (sent Sent, err error) {
	frames := f.traffic.streams[i].frames
	for sent.Entries < entries {
		if err := ctx.Err(); err != nil {
			return sent, fmt.Errorf("sending on stream %d: %w", i, err)
		}
		if rate > 0 {
			due := start.Add(time.Duration(float64(sent.Entries) / rate * 1e9))
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			} else {
				sent.Late = max(sent.Late, -wait)
			}
		}
		fr := &frames[f.next[i]]
		f.next[i] = (f.next[i] + 1) % len(frames)
		if err := f.streams[i].SendMsg(&fr.bytes); err != nil {
			if errors.Is(err, io.EOF) { // the status is in RecvMsg
				if err = f.streams[i].RecvMsg(&alsv3.StreamAccessLogsResponse{}); err == nil {
					err = errors.New("the server ended the stream")
				}
			}
			return sent, fmt.Errorf("sending on stream %d: %w", i, err)
		}
		sent.Entries += int64(fr.entries)
		sent.Messages++
		sent.Bytes += int64(len(fr.bytes))
	}
	return sent, nil
}

// Close ends every stream as a proxy that shuts down does, waits for the
// server's answer on each, and closes the connections.
func (f *Fleet) Close() error {
	var errs []error
	for i, s := range f.streams {
		if err := s.CloseSend(); err != nil {
			errs = append(errs, fmt.Errorf("closing stream %d: %w", i, err))
		}
	}
	for i, s := range f.streams {
		if err := s.RecvMsg(&alsv3.StreamAccessLogsResponse{}); err != nil && !errors.Is(err, io.EOF) {
			errs = append(errs, fmt.Errorf("ending stream %d: %w", i, err))
		}
	}
	return errors.Join(append(errs, f.abort())...)
}

func (f *Fleet) abort() error {
	f.cancel()
	var errs []error
	for _, cc := range f.conns {
		errs = append(errs, cc.Close())
	}
	return errors.Join(errs...)
}
