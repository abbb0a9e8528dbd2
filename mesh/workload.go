package mesh

import "unique"

// Fallbacks of Istio's standard metrics for what is not known.
const (
	Unknown = "unknown" // every label that has no other fallback
	Latest  = "latest"  // canonical revision
)

// Workload is what the metrics say about one end of a request. Fields are label
// values: never empty, with Istio's fallbacks filled in, valid UTF-8.
type Workload struct {
	Name              string
	Namespace         string
	CanonicalService  string
	CanonicalRevision string
	Principal         string // spiffe://<trust domain>/ns/<namespace>/sa/<service account>
	App               string
	Version           string
	Cluster           string
}

// Peer is a canonical Workload.
type Peer = unique.Handle[Workload]

// UnknownWorkload is the workload of which nothing is known.
func UnknownWorkload() Workload {
	return Workload{
		Name:              Unknown,
		Namespace:         Unknown,
		CanonicalService:  Unknown,
		CanonicalRevision: Latest,
		Principal:         Unknown,
		App:               Unknown,
		Version:           Unknown,
		Cluster:           Unknown,
	}
}

// DestinationService is the service that a request asked for. Fields are label
// values, as in Workload.
type DestinationService struct {
	Host      string // destination_service: the fully qualified name
	Name      string // destination_service_name
	Namespace string // destination_service_namespace
}

// Service is a canonical DestinationService.
type Service = unique.Handle[DestinationService]

// Custom is the canonical set of custom label values of an entry, in the order
// of the configured labels, each terminated by a NUL byte; values hold no NUL.
// The zero Custom means that no custom label is configured.
type Custom = unique.Handle[string]

// CustomLabel is a metric label whose value is an access-log custom tag, or what
// a filter of Envoy has left in the request's dynamic metadata.
type CustomLabel struct {
	Name string `mapstructure:"name"` // the label
	Tag  string `mapstructure:"tag"`  // the tag; the label's name if empty

	// Metadata is where the dynamic metadata has the value instead, as
	// <filter>:<key>. A policy's rule is at envoy.filters.http.ext_authz:policy_rule.
	Metadata string `mapstructure:"metadata"`
}
