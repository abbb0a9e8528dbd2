package local

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/tallygate/tallygate/jaegermodel"
)

// codec compresses spans. It is not safe for concurrent use, decode is.
type codec struct {
	enc       *zstd.Encoder
	dec       *zstd.Decoder
	plain     []byte
	processes map[*jaegermodel.Process]uint64
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxPlain))
	if err != nil {
		return nil, err
	}
	return &codec{enc: enc, dec: dec, processes: map[*jaegermodel.Process]uint64{}}, nil
}

// maxPlain bounds what a chunk may unpack to.
const maxPlain = 1 << 30

// encode packs spans: a version, then each process before the first span of it,
// and spans with the number of their process and their length.
func (c *codec) encode(spans []*jaegermodel.Span) []byte {
	clear(c.processes)
	b := append(c.plain[:0], 0) // version of the form
	for _, s := range spans {
		if _, ok := c.processes[s.Process]; !ok {
			c.processes[s.Process] = uint64(len(c.processes))
			b = s.Process.Append(append(b, 'p'))
		}
		b = binary.AppendUvarint(append(b, 's'), c.processes[s.Process])
		at := len(b)
		b = s.Append(append(b, 0, 0, 0, 0))
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	c.plain = b
	if cap(c.plain) > 8<<20 {
		c.plain = nil // one span of a strange size must not be kept
	}
	return c.enc.EncodeAll(b, nil)
}

// unpack returns what encode packed as the bytes of single spans.
func (c *codec) unpack(packed []byte) (*chunk, error) {
	b, err := c.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking spans: %w", err)
	}
	if len(b) == 0 || b[0] != 0 {
		return nil, jaegermodel.ErrCorrupt
	}
	b = b[1:]
	ch := &chunk{}
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case 'p':
			var p *jaegermodel.Process
			if p, b, err = jaegermodel.DecodeProcess(b); err != nil {
				return nil, err
			}
			ch.processes = append(ch.processes, p)
		case 's':
			i, n := binary.Uvarint(b)
			if n <= 0 || i >= uint64(len(ch.processes)) || len(b) < n+4 {
				return nil, jaegermodel.ErrCorrupt
			}
			size := binary.BigEndian.Uint32(b[n:])
			b = b[n+4:]
			if uint64(size) > uint64(len(b)) {
				return nil, jaegermodel.ErrCorrupt
			}
			ch.spans = append(ch.spans, packedSpan{b[:size], int(i)})
			b = b[size:]
		default:
			return nil, jaegermodel.ErrCorrupt
		}
	}
	return ch, nil
}

// chunk is spans that are not yet decoded: of those of a chunk mostly few are
// wanted.
type chunk struct {
	processes []*jaegermodel.Process
	spans     []packedSpan
}

type packedSpan struct {
	bytes   []byte
	process int
}

// decode appends n spans from place first on.
func (ch *chunk) decode(to []*jaegermodel.Span, first, n int) ([]*jaegermodel.Span, error) {
	if first+n > len(ch.spans) {
		return to, jaegermodel.ErrCorrupt
	}
	for _, p := range ch.spans[first : first+n] {
		s, rest, err := jaegermodel.DecodeSpan(p.bytes)
		if err != nil || len(rest) > 0 {
			return to, jaegermodel.ErrCorrupt
		}
		s.Process = ch.processes[p.process]
		to = append(to, s)
	}
	return to, nil
}

func (c *codec) close() {
	c.enc.Close()
	c.dec.Close()
}
