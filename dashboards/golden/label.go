package golden

import "github.com/tallygate/tallygate/mesh"

// Labels that boards and rules use.
var (
	Reporter             = mesh.LabelReporter.String()
	Source               = mesh.LabelSourceWorkload.String()
	SourceNamespace      = mesh.LabelSourceWorkloadNamespace.String()
	SourcePrincipal      = mesh.LabelSourcePrincipal.String()
	Destination          = mesh.LabelDestinationWorkload.String()
	DestinationNamespace = mesh.LabelDestinationWorkloadNamespace.String()
	Service              = mesh.LabelDestinationService.String()
	Version              = mesh.LabelDestinationVersion.String()
	Code                 = mesh.LabelResponseCode.String()
	GRPCStatus           = mesh.LabelGRPCResponseStatus.String()
	Flags                = mesh.LabelResponseFlags.String()
	Protocol             = mesh.LabelRequestProtocol.String()
	Security             = mesh.LabelConnectionSecurityPolicy.String()
)

// WithoutSource matches the sources of quotas that stand in for the one that
// cannot be asked.
var WithoutSource = mesh.QuotaFallback.String() + "|" + mesh.QuotaFailed.String()

// LE is the upper bound of a bucket.
const LE = "le"

// Edge is what tells one edge of the mesh from another, as one side reports it.
var Edge = []string{Reporter, Source, SourceNamespace, Destination, DestinationNamespace, Service}
