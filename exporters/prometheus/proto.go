package prometheus

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/tallygate/tallygate/red"
)

// proto writes families as length-delimited io.prometheus.client.MetricFamily.
// Source: https://github.com/prometheus/client_model/blob/v0.6.3/io/prometheus/client/metrics.proto
//
// The length of a family stands before it, so the values of a family are
// encoded first and its label sets, which are the bulk, are put between them
// when they are written.
type proto struct {
	w         *writer
	exemplars bool

	values    []byte // Counter or Histogram fields of all rows
	ends      []int  // of each row in values
	histogram []byte // scratch
	message   []byte // scratch
}

// Tags: field number and wire type.
const (
	varint = 0
	fixed  = 1
	length = 2

	familyName   = 1<<3 | length
	familyHelp   = 2<<3 | length
	familyType   = 3<<3 | varint
	familyMetric = 4<<3 | length
	familyUnit   = 5<<3 | length

	metricLabel     = 1<<3 | length
	metricCounter   = 3<<3 | length
	metricHistogram = 7<<3 | length

	labelName  = 1<<3 | length
	labelValue = 2<<3 | length

	counterValue    = 1<<3 | fixed
	counterExemplar = 2<<3 | length
	counterCreated  = 3<<3 | length

	histogramCount         = 1<<3 | varint
	histogramSum           = 2<<3 | fixed
	histogramBucket        = 3<<3 | length
	histogramSchema        = 5<<3 | varint
	histogramZeroThreshold = 6<<3 | fixed
	histogramZeroCount     = 7<<3 | varint
	histogramPositiveSpan  = 12<<3 | length
	histogramPositiveDelta = 13<<3 | length // packed
	histogramCreated       = 15<<3 | length

	bucketCount    = 1<<3 | varint
	bucketBound    = 2<<3 | fixed
	bucketExemplar = 3<<3 | length

	spanOffset = 1<<3 | varint
	spanLength = 2<<3 | varint

	exemplarLabel = 1<<3 | length
	exemplarValue = 2<<3 | fixed
	exemplarTime  = 3<<3 | length

	timeSeconds = 1<<3 | varint
	timeNanos   = 2<<3 | varint
)

// Values of MetricType.
const (
	typeCounter   = 0
	typeHistogram = 4
)

// protoLabels renders a label set. A label without a value is no label.
func protoLabels(dst []byte, names, values []string) []byte {
	for i, name := range names {
		if values[i] == "" {
			continue
		}
		dst = append(dst, metricLabel)
		dst = binary.AppendUvarint(dst, uint64(sizeString(name)+sizeString(values[i])))
		dst = appendString(dst, labelName, name)
		dst = appendString(dst, labelValue, values[i])
	}
	return dst
}

// family writes a family of v, whose label sets are rendered in sets.
func (p *proto) family(v *red.View, f *red.Family, sets [][]byte) error {
	if len(v.Rows) == 0 {
		return nil
	}
	p.values, p.ends = p.values[:0], p.ends[:0]
	size := 0
	for row, labels := range sets {
		start := len(p.values)
		if f.Kind == red.Histogram {
			p.values = p.appendHistogram(p.values, v, f, row)
		} else {
			p.values = p.appendCounter(p.values, v, f, row)
		}
		p.ends = append(p.ends, len(p.values))
		metric := len(labels) + len(p.values) - start
		size += 1 + sizeUvarint(uint64(metric)) + metric
	}

	head := appendString(nil, familyName, f.Name)
	head = appendString(head, familyHelp, f.Help)
	head = append(head, familyType)
	if f.Kind == red.Histogram {
		head = append(head, typeHistogram)
	} else {
		head = append(head, typeCounter)
	}
	if f.Unit != "" {
		head = appendString(head, familyUnit, f.Unit)
	}
	b := p.w.room(len(head) + binary.MaxVarintLen64)
	b = binary.AppendUvarint(b, uint64(len(head)+size))
	p.w.wrote(append(b, head...))

	start := 0
	for row, labels := range sets {
		value := p.values[start:p.ends[row]]
		start = p.ends[row]
		n := len(labels) + len(value)
		b := p.w.room(n + 1 + binary.MaxVarintLen64)
		b = append(b, familyMetric)
		b = binary.AppendUvarint(b, uint64(n))
		b = append(b, labels...)
		p.w.wrote(append(b, value...))
		if p.w.err != nil {
			return p.w.err
		}
	}
	return nil
}

func (p *proto) appendCounter(dst []byte, v *red.View, f *red.Family, row int) []byte {
	m := p.histogram[:0]
	m = appendDouble(m, counterValue, float64(v.Count(row, f)))
	if p.exemplars {
		if ex := v.Exemplars(row, f); ex != nil {
			m = p.appendExemplar(m, counterExemplar, &ex[0])
		}
	}
	m = appendTime(m, counterCreated, v.Rows[row].Series.Created.UnixNano())
	p.histogram = m
	return appendBytes(dst, metricCounter, m)
}

func (p *proto) appendHistogram(dst []byte, v *red.View, f *red.Family, row int) []byte {
	var ex []red.Exemplar
	if p.exemplars {
		ex = v.Exemplars(row, f)
	}
	m := p.histogram[:0]
	n := uint64(0)
	for i, c := range v.Buckets(row, f) {
		n += c
		bound := math.Inf(1)
		if i < len(f.Bounds) {
			bound = f.Bounds[i]
		} else if ex == nil || ex[i].Time == 0 {
			break // the count says it
		}
		if ex == nil || ex[i].Time == 0 {
			m = append(m, histogramBucket, byte(1+sizeUvarint(n)+9), bucketCount)
			m = binary.AppendUvarint(m, n)
			m = appendDouble(m, bucketBound, bound)
			continue
		}
		var scratch [192]byte
		b := append(scratch[:0], bucketCount)
		b = binary.AppendUvarint(b, n)
		b = appendDouble(b, bucketBound, bound)
		b = p.appendExemplar(b, bucketExemplar, &ex[i])
		m = appendBytes(m, histogramBucket, b)
	}
	m = append(m, histogramCount)
	m = binary.AppendUvarint(m, n)
	m = appendDouble(m, histogramSum, v.Sum(row, f))
	m = appendTime(m, histogramCreated, v.Rows[row].Series.Created.UnixNano())
	if f.Native {
		m = p.appendNative(m, v.NativeBuckets(row, f))
	}
	p.histogram = m
	return appendBytes(dst, metricHistogram, m)
}

// zeroThreshold is the width of the zero bucket; nothing but 0 is that small.
var zeroThreshold = math.Exp2(-128)

// maxGap is how many empty buckets are written rather than a new span.
const maxGap = 2

// appendNative appends the fields of a native histogram: spans of buckets, and
// the counts as differences.
func (p *proto) appendNative(m []byte, n *red.Native) []byte {
	m = append(m, histogramSchema)
	m = binary.AppendVarint(m, int64(n.Schema))
	m = appendDouble(m, histogramZeroThreshold, zeroThreshold)
	m = append(m, histogramZeroCount)
	m = binary.AppendUvarint(m, n.Zero)

	deltas := p.message[:0]
	last := int64(0)
	from := 0               // end of the span before
	base := int64(n.Offset) // the first span's offset is the index of its bucket
	for {
		start := from
		for start < len(n.Counts) && n.Counts[start] == 0 {
			start++
		}
		if start == len(n.Counts) {
			break
		}
		end := start
		for i := start; i < len(n.Counts) && i-end <= maxGap; i++ {
			if n.Counts[i] != 0 {
				end = i + 1
			}
		}
		for _, c := range n.Counts[start:end] {
			deltas = binary.AppendVarint(deltas, int64(c)-last)
			last = int64(c)
		}
		var scratch [2 + 2*binary.MaxVarintLen64]byte
		span := append(scratch[:0], spanOffset)
		span = binary.AppendVarint(span, base+int64(start-from))
		span = append(span, spanLength)
		span = binary.AppendUvarint(span, uint64(end-start))
		m = appendBytes(m, histogramPositiveSpan, span)
		from, base = end, 0
	}
	p.message = deltas
	if len(deltas) == 0 {
		return m
	}
	return appendBytes(m, histogramPositiveDelta, deltas)
}

func (p *proto) appendExemplar(dst []byte, tag byte, e *red.Exemplar) []byte {
	if e.Time == 0 {
		return dst
	}
	const name = "trace_id"
	id := e.TraceID()
	var scratch [128]byte
	b := append(scratch[:0], exemplarLabel, byte(2+len(name)+2+len(id)))
	b = append(b, labelName, byte(len(name)))
	b = append(b, name...)
	b = append(b, labelValue, byte(len(id)))
	b = append(b, id...)
	b = appendDouble(b, exemplarValue, e.Value)
	b = appendTime(b, exemplarTime, e.Time)
	return appendBytes(dst, tag, b)
}

func appendTime(dst []byte, tag byte, nanos int64) []byte {
	var scratch [2 + 2*binary.MaxVarintLen64]byte
	b := append(scratch[:0], timeSeconds)
	b = binary.AppendUvarint(b, uint64(nanos/1e9))
	b = append(b, timeNanos)
	b = binary.AppendUvarint(b, uint64(nanos%1e9))
	return appendBytes(dst, tag, b)
}

func appendDouble(dst []byte, tag byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, tag), math.Float64bits(f))
}

func appendBytes(dst []byte, tag byte, b []byte) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(b)))
	return append(dst, b...)
}

func appendString(dst []byte, tag byte, s string) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(s)))
	return append(dst, s...)
}

// sizeString is the size of a string field.
func sizeString(s string) int { return 1 + sizeUvarint(uint64(len(s))) + len(s) }

func sizeUvarint(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }
