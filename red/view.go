package red

import (
	"hash/maphash"
	"math"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// view is a set of families that share a label set, and their series.
type view struct {
	name   string
	group  group
	schema *schema
	keyer  keyer
	takes  []take
	stride int // length of series.values
	limits limits

	natives   int // histograms with native buckets
	exemplars int // length of series.exemplars

	seed      maphash.Seed
	shards    []shard
	admission admission
}

// limits are the settings of a view that change while it runs.
type limits struct {
	series      int
	labelValues int
	buckets     int // of a native histogram
	exemplars   bool
}

// take is one family of a view: what it takes of an entry and where it keeps it.
type take struct {
	family   Family
	source   source
	offset   int      // of the counter or the sum
	buckets  *buckets // nil for a counter
	first    int      // offset of the first bucket
	native   int      // index in series.native, -1 if none
	exemplar int      // index of the first in series.exemplars, -1 if none
	scale    float64  // of what is counted to the unit of the family
}

// viewDef is a view by configuration.
type viewDef struct {
	group    group
	labels   labelSet
	families []familyDef
}

type familyDef struct {
	spec
	bounds []float64
	schema int32 // of native buckets
	native bool
}

func newView(def viewDef, custom []mesh.CustomLabel, name string) *view {
	v := &view{
		name:   name,
		group:  def.group,
		schema: newSchema(def.labels, custom),
		seed:   maphash.MakeSeed(),
		shards: make([]shard, numShards),
	}
	v.keyer.init(def.labels, len(custom))
	v.admission.init(len(v.schema.labels), len(custom))
	for _, f := range def.families {
		t := take{
			family:   Family{Name: f.name, Help: f.help, Unit: f.unit, Kind: f.kind, Bounds: f.bounds},
			source:   f.source,
			offset:   len(v.takes),
			native:   -1,
			exemplar: -1,
			scale:    1,
		}
		cells := 1
		if f.kind == Histogram {
			if f.unit == unitMilliseconds {
				t.scale = nanosPerMilli
			}
			t.buckets = newBuckets(f.bounds, t.scale)
			cells = len(t.buckets.bounds)
			t.family.Native = f.native
			if f.native {
				t.native = v.natives
				t.family.schema = f.schema
				v.natives++
			}
		}
		if f.spec.exemplars {
			t.exemplar = v.exemplars
			v.exemplars += cells
		}
		v.takes = append(v.takes, t)
	}
	v.stride = len(v.takes)
	for i := range v.takes {
		if t := &v.takes[i]; t.buckets != nil {
			t.first = v.stride
			v.stride += len(t.buckets.bounds)
		}
		v.takes[i].family.take = i
	}
	return v
}

// viewName names a view: after its group, and after its families too if the
// group has several views.
func viewName(def viewDef, alone bool) string {
	if alone {
		return def.group.String()
	}
	names := make([]string, len(def.families))
	for i, f := range def.families {
		names[i] = strings.TrimPrefix(f.name, "istio_")
	}
	return def.group.String() + ":" + strings.Join(names, "+")
}

// newSeries returns an empty series.
func (v *view) newSeries() *series {
	s := &series{values: make([]uint64, v.stride)}
	if v.natives > 0 {
		s.native = make([]Native, v.natives)
		for i := range v.takes {
			if t := &v.takes[i]; t.native >= 0 {
				s.native[t.native].Schema = t.family.schema
			}
		}
	}
	return s
}

// add counts e in s, whose shard is locked.
func (v *view) add(s *series, e *mesh.Entry, now int64) {
	s.seen = now
	sampled := e.TraceSampled && v.limits.exemplars && v.exemplars > 0
	if sampled && s.exemplars == nil {
		s.exemplars = make([]Exemplar, v.exemplars)
	}
	for i := range v.takes {
		t := &v.takes[i]
		x := t.source.of(e)
		if t.buckets == nil {
			s.values[t.offset] += x
			if sampled && t.exemplar >= 0 {
				s.exemplars[t.exemplar].set(e.TraceID, 1, now)
			}
			continue
		}
		sum := math.Float64frombits(s.values[t.offset]) + float64(x)
		s.values[t.offset] = math.Float64bits(sum)
		b := t.buckets.find(x)
		s.values[t.first+b]++
		if t.native >= 0 {
			s.native[t.native].add(float64(x)/t.scale, v.limits.buckets)
		}
		if sampled && t.exemplar >= 0 {
			s.exemplars[t.exemplar+b].set(e.TraceID, float64(x)/t.scale, now)
		}
	}
}

// of returns the figure of e that s takes.
func (s source) of(e *mesh.Entry) uint64 {
	switch s {
	case takeDuration:
		return uint64(max(e.Duration, 0))
	case takeRequestBytes:
		return e.RequestBytes
	case takeResponseBytes:
		return e.ResponseBytes
	case takeRequestMessages:
		return e.RequestMessages
	case takeResponseMessages:
		return e.ResponseMessages
	case takeSentBytes:
		return e.SentBytes
	case takeReceivedBytes:
		return e.ReceivedBytes
	case takeOpened:
		if !e.Opened {
			return 0
		}
	case takeClosed:
		if !e.Closed {
			return 0
		}
	}
	return 1
}
