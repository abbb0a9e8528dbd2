package mesh

// Label is one of the 25 labels of Istio's standard metrics. Their order is the
// order in which Istio emits them.
type Label uint8

const (
	LabelReporter Label = iota
	LabelSourceWorkload
	LabelSourceCanonicalService
	LabelSourceCanonicalRevision
	LabelSourceWorkloadNamespace
	LabelSourcePrincipal
	LabelSourceApp
	LabelSourceVersion
	LabelSourceCluster
	LabelDestinationWorkload
	LabelDestinationWorkloadNamespace
	LabelDestinationPrincipal
	LabelDestinationApp
	LabelDestinationVersion
	LabelDestinationService
	LabelDestinationCanonicalService
	LabelDestinationCanonicalRevision
	LabelDestinationServiceName
	LabelDestinationServiceNamespace
	LabelDestinationCluster
	LabelRequestProtocol
	LabelResponseCode
	LabelGRPCResponseStatus
	LabelResponseFlags
	LabelConnectionSecurityPolicy

	NumLabels
)

var labelNames = [NumLabels]string{
	"reporter",
	"source_workload",
	"source_canonical_service",
	"source_canonical_revision",
	"source_workload_namespace",
	"source_principal",
	"source_app",
	"source_version",
	"source_cluster",
	"destination_workload",
	"destination_workload_namespace",
	"destination_principal",
	"destination_app",
	"destination_version",
	"destination_service",
	"destination_canonical_service",
	"destination_canonical_revision",
	"destination_service_name",
	"destination_service_namespace",
	"destination_cluster",
	"request_protocol",
	"response_code",
	"grpc_response_status",
	"response_flags",
	"connection_security_policy",
}

// String returns the label's name as Prometheus sees it.
func (l Label) String() string { return labelNames[l] }

var labelByName = func() map[string]Label {
	m := make(map[string]Label, NumLabels)
	for l, name := range labelNames {
		m[name] = Label(l)
	}
	return m
}()

// ParseLabel returns the label with the given name.
func ParseLabel(name string) (l Label, ok bool) {
	l, ok = labelByName[name]
	return l, ok
}
