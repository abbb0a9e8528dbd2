package testbed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Key is what the metrics must say about a request, as far as the driver knows
// it for sure.
type Key struct {
	Reporter    string // source or destination
	Source      string // source_workload
	Destination string // destination_workload
	Service     string // destination_service
	Protocol    string // request_protocol
	Code        string // response_code; empty for TCP
	GRPC        string // grpc_response_status
	Flags       string // response_flags
}

func (k Key) String() string {
	return fmt.Sprintf("%s %s→%s %s %s code %s grpc %q flags %s",
		k.Reporter, k.Source, k.Destination, k.Service, k.Protocol, k.Code, k.GRPC, k.Flags)
}

// Tally counts final entries of the access log.
type Tally map[Key]int

// Sum returns how many entries there are.
func (t Tally) Sum() int {
	n := 0
	for _, c := range t {
		n += c
	}
	return n
}

// Add adds n times the counts of o.
func (t Tally) Add(o Tally, n int) {
	for k, c := range o {
		t[k] += n * c
	}
}

// Diff says what got has too much or too little, one line per key; it is empty
// if they are the same.
func (t Tally) Diff(got Tally) string {
	keys := map[Key]bool{}
	for k := range t {
		keys[k] = true
	}
	for k := range got {
		keys[k] = true
	}
	var lines []string
	for k := range maps.Keys(keys) {
		if t[k] != got[k] {
			lines = append(lines, fmt.Sprintf("got %d, want %d: %s", got[k], t[k], k))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
