package ingest

import (
	"fmt"
	"math/bits"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Frame is one gRPC message in its serialised form. As the argument of RecvMsg
// it takes over the received bytes; as the argument of SendMsg it gives its
// bytes away as they are. A Frame may be received into again and again; the
// zero Frame is empty. It is not safe for concurrent use.
type Frame struct {
	data   []byte
	single mem.Buffer // set if data lies in the one buffer that gRPC read it into
	pooled *[]byte    // set if data was gathered from several buffers
}

// NewFrame returns a Frame that sends b, which must not change while it is in
// use. Free does nothing to b.
func NewFrame(b []byte) *Frame { return &Frame{data: b} }

// Bytes returns the message. The slice is valid until Free or the next receive.
func (f *Frame) Bytes() []byte { return f.data }

// Free gives the buffer back. It may be called more than once.
func (f *Frame) Free() {
	if f.single != nil {
		f.single.Free()
	}
	if f.pooled != nil {
		putBuffer(f.pooled)
	}
	*f = Frame{}
}

func (f *Frame) take(data mem.BufferSlice) {
	f.Free()
	switch len(data) {
	case 0:
	case 1:
		data[0].Ref()
		f.single = data[0]
		f.data = data[0].ReadOnlyData()
	default:
		f.pooled = getBuffer(data.Len())
		f.data = *f.pooled
		data.CopyTo(f.data)
	}
}

// Codec returns the codec of Tallygate's gRPC servers, for
// [google.golang.org/grpc.ForceServerCodecV2]. It hands a *[Frame] the raw
// bytes; every other message (health, reflection, responses) goes to the
// protobuf codec. A client may use it to send messages that are already
// serialised.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(proto.Name)} }

type codec struct{ proto encoding.CodecV2 }

func (c codec) Name() string { return c.proto.Name() }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*Frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
	}
	out, err := c.proto.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("marshal %T: %w", v, err)
	}
	return out, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if f, ok := v.(*Frame); ok {
		f.take(data)
		return nil
	}
	if err := c.proto.Unmarshal(data, v); err != nil {
		return fmt.Errorf("unmarshal %T: %w", v, err)
	}
	return nil
}

// Gathered messages live in pools of their own, one for each power of two: gRPC's
// default pool would hand out (and clear) a whole MiB for every message above
// 32 KiB.
const (
	minBufferBits = 12 // 4 KiB
	maxBufferBits = 22 // 4 MiB: larger ones are left to the garbage collector
)

var buffers [maxBufferBits - minBufferBits + 1]sync.Pool

func bufferClass(size int) int {
	return max(bits.Len(uint(size-1)), minBufferBits) - minBufferBits
}

func getBuffer(size int) *[]byte {
	class := bufferClass(size)
	if class >= len(buffers) {
		b := make([]byte, size)
		return &b
	}
	if b, ok := buffers[class].Get().(*[]byte); ok {
		*b = (*b)[:size]
		return b
	}
	b := make([]byte, size, 1<<(class+minBufferBits))
	return &b
}

func putBuffer(b *[]byte) {
	if class := bufferClass(cap(*b)); class < len(buffers) && cap(*b) == 1<<(class+minBufferBits) {
		buffers[class].Put(b)
	}
}
