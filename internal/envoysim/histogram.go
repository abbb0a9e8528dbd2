package envoysim

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Histogram is the cumulative count by upper bound of a classic histogram.
type Histogram map[float64]float64

// ReadHistogram returns the sum of all series of the histogram that url exposes
// in Prometheus' text format.
func ReadHistogram(ctx context.Context, url, metric string) (Histogram, error) {
	h := Histogram{}
	err := readSeries(ctx, url, func(name, labels string, v float64) {
		if name != metric+"_bucket" {
			return
		}
		_, le, ok := strings.Cut(labels, `le="`)
		le, _, _ = strings.Cut(le, `"`)
		if bound, err := strconv.ParseFloat(le, 64); ok && err == nil {
			h[bound] += v
		}
	})
	return h, err
}

// Since returns what was observed since the earlier reading.
func (h Histogram) Since(earlier Histogram) Histogram {
	d := Histogram{}
	for bound, v := range h {
		d[bound] = v - earlier[bound]
	}
	return d
}

// Count returns the number of observations.
func (h Histogram) Count() float64 { return h[math.Inf(1)] }

// Quantile returns the q-quantile, interpolated within its bucket as
// Prometheus' histogram_quantile does; NaN if there are no observations.
func (h Histogram) Quantile(q float64) float64 {
	rank, lower, below := q*h.Count(), 0.0, 0.0
	if h.Count() == 0 {
		return math.NaN()
	}
	for _, bound := range slices.Sorted(maps.Keys(h)) {
		if n := h[bound]; n >= rank {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(rank-below)/(n-below)
		}
		lower, below = bound, h[bound]
	}
	return lower
}

// Max returns the upper bound of the highest bucket that holds an observation:
// no observation was above it.
func (h Histogram) Max() float64 {
	for _, bound := range slices.Sorted(maps.Keys(h)) {
		if h[bound] >= h.Count() {
			return bound
		}
	}
	return math.Inf(1)
}
