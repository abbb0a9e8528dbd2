package fleet

import (
	"math"
	"slices"
	"time"

	"github.com/tallygate/tallygate/red"
)

// Figures are rate, errors and duration of some requests. HTTP includes gRPC.
type Figures struct {
	Requests   uint64  `json:"requests"`
	Rate       float64 `json:"rate"`                  // requests per second
	Errors     uint64  `json:"errors,omitempty"`      // 5xx, no answer, or a gRPC status that blames the server
	ErrorRatio float64 `json:"error_ratio,omitempty"` // 0 to 1
	ErrorRate  float64 `json:"error_rate,omitempty"`  // per second
	Denied     uint64  `json:"denied,omitempty"`      // by ext_authz or a rate limit
	DeniedRate float64 `json:"denied_rate,omitempty"` // per second

	Mean float64 `json:"mean_ms,omitempty"`
	P50  float64 `json:"p50_ms,omitempty"`
	P95  float64 `json:"p95_ms,omitempty"`
	P99  float64 `json:"p99_ms,omitempty"`

	RequestBytes  uint64  `json:"request_bytes,omitempty"`
	ResponseBytes uint64  `json:"response_bytes,omitempty"`
	Sent          uint64  `json:"tcp_sent_bytes,omitempty"`
	Received      uint64  `json:"tcp_received_bytes,omitempty"`
	Opened        uint64  `json:"tcp_opened,omitempty"`
	Closed        uint64  `json:"tcp_closed,omitempty"`
	TCPRate       float64 `json:"tcp_bytes_per_second,omitempty"`

	Nanos   uint64   `json:"duration_ns,omitempty"` // sum
	Buckets []uint64 `json:"buckets,omitempty"`     // one per bound, then +Inf; only if asked for
}

// FiguresOf are those of a replica that counted f in the given time.
func FiguresOf(f *red.Figures, covered time.Duration) Figures {
	s := covered.Seconds()
	per := func(n uint64) float64 {
		if s <= 0 {
			return 0
		}
		return float64(n) / s
	}
	return Figures{
		Requests: f.Requests, Rate: per(f.Requests), Errors: f.Errors, ErrorRate: per(f.Errors),
		Denied: f.Denied, DeniedRate: per(f.Denied), Nanos: f.Nanos, Buckets: f.Buckets,
		RequestBytes: f.RequestBytes, ResponseBytes: f.ResponseBytes,
		Sent: f.Sent, Received: f.Received, Opened: f.Opened, Closed: f.Closed, TCPRate: per(f.Sent + f.Received),
	}
}

// add adds what another replica or label set counted.
func (f *Figures) add(o *Figures) {
	f.Requests += o.Requests
	f.Rate += o.Rate
	f.Errors += o.Errors
	f.ErrorRate += o.ErrorRate
	f.Denied += o.Denied
	f.DeniedRate += o.DeniedRate
	f.RequestBytes += o.RequestBytes
	f.ResponseBytes += o.ResponseBytes
	f.Sent += o.Sent
	f.Received += o.Received
	f.Opened += o.Opened
	f.Closed += o.Closed
	f.TCPRate += o.TCPRate
	f.Nanos += o.Nanos
	if n := len(o.Buckets) - len(f.Buckets); n > 0 {
		f.Buckets = append(slices.Clip(f.Buckets), make([]uint64, n)...)
	}
	for i, n := range o.Buckets {
		f.Buckets[i] += n
	}
}

// finish computes what does not add up from what does.
func (f *Figures) finish(bounds []float64, keepBuckets bool) {
	if f.Requests > 0 {
		f.ErrorRatio = float64(f.Errors) / float64(f.Requests)
		f.Mean = round(float64(f.Nanos) / float64(f.Requests) / 1e6)
	}
	f.P50, f.P95, f.P99 = Quantile(0.5, bounds, f.Buckets), Quantile(0.95, bounds, f.Buckets), Quantile(0.99, bounds, f.Buckets)
	if !keepBuckets {
		f.Buckets = nil
	}
	f.Rate, f.ErrorRate, f.DeniedRate, f.TCPRate = round(f.Rate), round(f.ErrorRate), round(f.DeniedRate), round(f.TCPRate)
	f.ErrorRatio = round(f.ErrorRatio)
}

// round keeps four significant digits.
func round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// Quantile estimates a quantile as Prometheus' histogram_quantile does, from
// counts per bucket: linear within it, and the highest bound in that of +Inf.
func Quantile(q float64, bounds []float64, buckets []uint64) float64 {
	if len(bounds) == 0 || len(buckets) != len(bounds)+1 {
		return 0
	}
	total := uint64(0)
	for _, n := range buckets {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	below := 0.0
	for i, n := range buckets {
		if below+float64(n) < rank || n == 0 {
			below += float64(n)
			continue
		}
		if i == len(bounds) {
			return bounds[i-1]
		}
		low := 0.0
		if i > 0 {
			low = bounds[i-1]
		}
		return round(low + (bounds[i]-low)*(rank-below)/float64(n))
	}
	return bounds[len(bounds)-1]
}
