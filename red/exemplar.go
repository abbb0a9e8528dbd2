package red

// Exemplar is a sampled request that a counter or bucket counted.
type Exemplar struct {
	Time  int64   // nanoseconds since 1970; 0 means that there is no exemplar
	Value float64 // in the unit of the family; 1 for a counter
	id    [32]byte
	n     uint8
}

// TraceID returns the trace id: 16 or 32 hex digits as the proxy logged them.
// It aliases e.
func (e *Exemplar) TraceID() []byte { return e.id[:e.n] }

// set makes e the exemplar of a request. Anything but a trace id is left out:
// what is logged as one may come from a header.
func (e *Exemplar) set(traceID string, value float64, now int64) {
	if !isTraceID(traceID) {
		return
	}
	e.n = uint8(copy(e.id[:], traceID))
	e.Value = value
	e.Time = now
}

func isTraceID(s string) bool {
	if len(s) != 16 && len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
