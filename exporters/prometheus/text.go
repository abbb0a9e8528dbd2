package prometheus

import (
	"math"
	"strconv"
	"strings"

	"github.com/tallygate/tallygate/red"
)

// text writes families as Prometheus text or OpenMetrics.
type text struct {
	w           *writer
	openMetrics bool
	exemplars   bool
	created     bool
}

// textLabels renders a label set without its braces.
func textLabels(dst []byte, names, values []string) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
		dst = append(dst, '=', '"')
		dst = appendEscaped(dst, values[i])
		dst = append(dst, '"')
	}
	return dst
}

// appendEscaped appends a label value; both text formats escape the same three
// characters.
func appendEscaped(dst []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "\\\"\n")
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		switch s[i] {
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, '\\', s[i])
		}
		s = s[i+1:]
	}
}

// family writes a family of v, whose label sets are rendered in sets.
func (t *text) family(v *red.View, f *red.Family, sets [][]byte) error {
	if len(v.Rows) == 0 {
		return nil
	}
	t.header(f)
	if f.Kind == red.Histogram {
		return t.histogram(v, f, sets)
	}
	return t.counter(v, f, sets)
}

func (t *text) header(f *red.Family) {
	name := f.Name
	if t.openMetrics {
		name = strings.TrimSuffix(name, "_total")
	}
	b := t.w.room(1024)
	b = append(b, "# HELP "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = append(b, f.Help...)
	b = append(b, "\n# TYPE "...)
	b = append(b, name...)
	b = append(b, ' ')
	b = append(b, f.Kind.String()...)
	b = append(b, '\n')
	if t.openMetrics && f.Unit != "" && strings.HasSuffix(name, "_"+f.Unit) {
		b = append(b, "# UNIT "...)
		b = append(b, name...)
		b = append(b, ' ')
		b = append(b, f.Unit...)
		b = append(b, '\n')
	}
	t.w.wrote(b)
}

func (t *text) counter(v *red.View, f *red.Family, sets [][]byte) error {
	created := strings.TrimSuffix(f.Name, "_total") + "_created{"
	name := f.Name + "{"
	for row, labels := range sets {
		b := t.w.room(2*(len(name)+len(labels)) + 256)
		b = append(b, name...)
		b = append(b, labels...)
		b = append(b, "} "...)
		b = strconv.AppendUint(b, v.Count(row, f), 10)
		if t.exemplars {
			if ex := v.Exemplars(row, f); ex != nil {
				b = appendExemplar(b, &ex[0])
			}
		}
		b = append(b, '\n')
		if t.created {
			b = appendCreated(b, created, labels, v.Rows[row].Series)
		}
		t.w.wrote(b)
		if t.w.err != nil {
			return t.w.err
		}
	}
	return nil
}

func (t *text) histogram(v *red.View, f *red.Family, sets [][]byte) error {
	bucket, sum, count, created := f.Name+"_bucket{", f.Name+"_sum{", f.Name+"_count{", f.Name+"_created{"
	les := make([]string, len(f.Bounds)+1)
	for i, bound := range f.Bounds {
		les[i] = `,le="` + formatBound(bound) + `"} `
	}
	les[len(f.Bounds)] = `,le="+Inf"} `
	for row, labels := range sets {
		if len(labels) == 0 {
			labels = nil
		}
		var ex []red.Exemplar
		if t.exemplars {
			ex = v.Exemplars(row, f)
		}
		n := uint64(0)
		for i, c := range v.Buckets(row, f) {
			n += c
			le := les[i]
			if labels == nil {
				le = le[1:]
			}
			b := t.w.room(len(bucket) + len(labels) + 256)
			b = append(b, bucket...)
			b = append(b, labels...)
			b = append(b, le...)
			b = strconv.AppendUint(b, n, 10)
			if ex != nil {
				b = appendExemplar(b, &ex[i])
			}
			b = append(b, '\n')
			t.w.wrote(b)
		}
		b := t.w.room(3*(len(created)+len(labels)) + 256)
		b = append(b, sum...)
		b = append(b, labels...)
		b = append(b, "} "...)
		b = appendFloat(b, v.Sum(row, f))
		b = append(b, '\n')
		b = append(b, count...)
		b = append(b, labels...)
		b = append(b, "} "...)
		b = strconv.AppendUint(b, n, 10)
		b = append(b, '\n')
		if t.created {
			b = appendCreated(b, created, labels, v.Rows[row].Series)
		}
		t.w.wrote(b)
		if t.w.err != nil {
			return t.w.err
		}
	}
	return nil
}

// formatBound spells an le as Envoy does.
func formatBound(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func appendFloat(b []byte, f float64) []byte {
	if f == math.Trunc(f) && f >= 0 && f < 1<<53 {
		return strconv.AppendUint(b, uint64(f), 10)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// appendSeconds appends a time, given in nanoseconds since 1970, in seconds
// with milliseconds.
func appendSeconds(b []byte, nanos int64) []byte {
	ms := nanos / 1e6
	b = strconv.AppendInt(b, ms/1000, 10)
	return append(b, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}

func appendCreated(b []byte, name string, labels []byte, s *red.Series) []byte {
	b = append(b, name...)
	b = append(b, labels...)
	b = append(b, "} "...)
	b = appendSeconds(b, s.Created.UnixNano())
	return append(b, '\n')
}

func appendExemplar(b []byte, e *red.Exemplar) []byte {
	if e.Time == 0 {
		return b
	}
	b = append(b, ` # {trace_id="`...)
	b = append(b, e.TraceID()...)
	b = append(b, `"} `...)
	b = appendFloat(b, e.Value)
	b = append(b, ' ')
	return appendSeconds(b, e.Time)
}
