package als

import "github.com/tallygate/tallygate/mesh"

// tagSlot returns the slot of a custom tag with a meaning of its own, numSlots
// if the name has none.
func tagSlot(name string) slot {
	switch name {
	case "reporter":
		return slot(mesh.LabelReporter)
	case "source_workload":
		return slot(mesh.LabelSourceWorkload)
	case "source_canonical_service":
		return slot(mesh.LabelSourceCanonicalService)
	case "source_canonical_revision":
		return slot(mesh.LabelSourceCanonicalRevision)
	case "source_workload_namespace":
		return slot(mesh.LabelSourceWorkloadNamespace)
	case "source_principal":
		return slot(mesh.LabelSourcePrincipal)
	case "source_app":
		return slot(mesh.LabelSourceApp)
	case "source_version":
		return slot(mesh.LabelSourceVersion)
	case "source_cluster":
		return slot(mesh.LabelSourceCluster)
	case "destination_workload":
		return slot(mesh.LabelDestinationWorkload)
	case "destination_workload_namespace":
		return slot(mesh.LabelDestinationWorkloadNamespace)
	case "destination_principal":
		return slot(mesh.LabelDestinationPrincipal)
	case "destination_app":
		return slot(mesh.LabelDestinationApp)
	case "destination_version":
		return slot(mesh.LabelDestinationVersion)
	case "destination_service":
		return slot(mesh.LabelDestinationService)
	case "destination_canonical_service":
		return slot(mesh.LabelDestinationCanonicalService)
	case "destination_canonical_revision":
		return slot(mesh.LabelDestinationCanonicalRevision)
	case "destination_service_name":
		return slot(mesh.LabelDestinationServiceName)
	case "destination_service_namespace":
		return slot(mesh.LabelDestinationServiceNamespace)
	case "destination_cluster":
		return slot(mesh.LabelDestinationCluster)
	case "request_protocol":
		return slot(mesh.LabelRequestProtocol)
	case "response_code":
		return slot(mesh.LabelResponseCode)
	case "grpc_response_status":
		return slot(mesh.LabelGRPCResponseStatus)
	case "response_flags":
		return slot(mesh.LabelResponseFlags)
	case "connection_security_policy":
		return slot(mesh.LabelConnectionSecurityPolicy)
	case "trace_id":
		return slotTraceID
	case "span_id":
		return slotSpanID
	case "trace_sampled":
		return slotTraceSampled
	}
	return numSlots
}
