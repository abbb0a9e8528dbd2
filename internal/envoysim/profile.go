package envoysim

import (
	"errors"
	"fmt"
)

// Sides says which end of the requests the simulated proxies stand at.
type Sides string

const (
	SideDestination Sides = "destination" // entries carry TLS properties of both ends
	SideSource      Sides = "source"      // the peer is known by tags alone
	SideBoth        Sides = "both"        // proxies alternate
)

// Profile describes the mesh that is simulated.
type Profile struct {
	Streams           int   // proxies, each with one stream on a connection of its own
	Tuples            int   // distinct label sets, over all streams
	EntriesPerMessage int   // Envoy fills 16 KiB or waits 1 s
	Services          int   // services that the proxies and their peers belong to
	Sides             Sides // where the proxies stand
	GRPC, TCP         int   // percent of the label sets that are gRPC and TCP; the rest is HTTP
	MinMessages       int   // messages built per stream before they repeat
	Seed              uint64
}

// DefaultProfile is the mesh of the published figures: 8 streams, 100 label
// sets, 50 entries of about 1.1 KB per message, HTTP at the destination.
func DefaultProfile() Profile {
	return Profile{
		Streams:           8,
		Tuples:            100,
		EntriesPerMessage: 50,
		Services:          300,
		Sides:             SideDestination,
		MinMessages:       16,
		Seed:              1,
	}
}

// Validate returns every problem of p.
func (p Profile) Validate() error {
	var errs []error
	positive := func(name string, v int) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s: %d is not positive", name, v))
		}
	}
	positive("streams", p.Streams)
	positive("entries per message", p.EntriesPerMessage)
	positive("messages", p.MinMessages)
	if p.Services < 2 {
		errs = append(errs, fmt.Errorf("services: %d, a request needs two", p.Services))
	}
	if p.Tuples < p.Streams {
		errs = append(errs, fmt.Errorf("tuples: %d are fewer than the %d streams", p.Tuples, p.Streams))
	}
	if p.GRPC < 0 || p.TCP < 0 || p.GRPC+p.TCP > 100 {
		errs = append(errs, fmt.Errorf("protocols: %d %% gRPC and %d %% TCP", p.GRPC, p.TCP))
	}
	switch p.Sides {
	case SideDestination, SideSource, SideBoth:
	default:
		errs = append(errs, fmt.Errorf("sides: %q is not one of destination, source, both", p.Sides))
	}
	return errors.Join(errs...)
}
