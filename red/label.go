package red

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// MaxCustomLabels is how many custom labels a Table takes.
const MaxCustomLabels = 32

// labelID names a label of a view: the 25 labels of mesh, then those of the
// span metrics, then the custom ones.
type labelID uint8

const (
	labelSpanService labelID = labelID(mesh.NumLabels) + iota
	labelSpanName
	labelSpanKind
	labelSpanStatus
	labelCustom0
)

// labelSet is a set of labelIDs.
type labelSet uint64

// setOf returns the labels from first up to, without, end.
func setOf(first, end labelID) labelSet {
	return labelSet(1)<<end - labelSet(1)<<first
}

func (s labelSet) has(l labelID) bool { return s>>l&1 != 0 }

// each calls f for every label of s in order.
func (s labelSet) each(f func(labelID)) {
	for ; s != 0; s &= s - 1 {
		f(labelID(bits.TrailingZeros64(uint64(s))))
	}
}

const (
	sourceLabels = labelSet(1)<<(mesh.LabelSourceCluster+1) - labelSet(1)<<mesh.LabelSourceWorkload

	serviceLabels = labelSet(1)<<mesh.LabelDestinationService |
		labelSet(1)<<mesh.LabelDestinationServiceName |
		labelSet(1)<<mesh.LabelDestinationServiceNamespace

	destinationLabels = (labelSet(1)<<(mesh.LabelDestinationCluster+1) - labelSet(1)<<mesh.LabelDestinationWorkload) &^ serviceLabels
)

// methods are the operations of the span metrics by their number in a key.
var methods = [...]string{
	mesh.Unknown, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER",
}

func methodNumber(method string) uint32 {
	switch method {
	case "":
		return 0
	case "GET":
		return 1
	case "HEAD":
		return 2
	case "POST":
		return 3
	case "PUT":
		return 4
	case "DELETE":
		return 5
	case "CONNECT":
		return 6
	case "OPTIONS":
		return 7
	case "TRACE":
		return 8
	case "PATCH":
		return 9
	}
	return uint32(len(methods) - 1)
}

// labelName returns the name of l.
func labelName(l labelID, custom []mesh.CustomLabel) string {
	if l < labelID(mesh.NumLabels) {
		return mesh.Label(l).String()
	}
	if l >= labelCustom0 {
		return custom[l-labelCustom0].Name
	}
	return [...]string{"service_name", "span_name", "span_kind", "status_code"}[l-labelSpanService]
}

// labelValue returns the value of l in the label set that k stands for.
func labelValue(k *key, l labelID) string {
	switch {
	case l >= labelCustom0:
		return customValue(k.custom, int(l-labelCustom0))
	case sourceLabels.has(l):
		w := workload(k.source)
		return *sourceField(&w, l)
	case destinationLabels.has(l):
		w := workload(k.destination)
		return *destinationField(&w, l)
	case serviceLabels.has(l):
		s := service(k.service)
		return *serviceField(&s, l)
	}
	switch l {
	case labelID(mesh.LabelReporter):
		return k.reporter().String()
	case labelID(mesh.LabelRequestProtocol):
		return k.protocol().String()
	case labelID(mesh.LabelResponseCode):
		if c := k.code(); c != codeOverflow {
			return strconv.FormatUint(uint64(c), 10)
		}
		return Overflow
	case labelID(mesh.LabelGRPCResponseStatus):
		switch s := k.status(); s {
		case mesh.NoGRPCStatus:
			return ""
		case statusOverflow:
			return Overflow
		default:
			return strconv.Itoa(int(s))
		}
	case labelID(mesh.LabelResponseFlags):
		if k.flags == flagsOverflow {
			return Overflow
		}
		return k.flags.String()
	case labelID(mesh.LabelConnectionSecurityPolicy):
		if s := k.security(); s != securityOverflow {
			return s.String()
		}
		return Overflow
	case labelSpanService:
		w := workload(k.source)
		return w.CanonicalService
	case labelSpanName:
		if c := k.code(); c != codeOverflow {
			return methods[c]
		}
		return Overflow
	case labelSpanKind:
		if k.reporter() == mesh.ReporterSource {
			return "SPAN_KIND_CLIENT"
		}
		return "SPAN_KIND_SERVER"
	case labelSpanStatus:
		switch k.security() {
		case spanError:
			return "STATUS_CODE_ERROR"
		case securityOverflow:
			return Overflow
		}
		return "STATUS_CODE_UNSET"
	}
	panic("red: no such label")
}

// sourceField returns the field of w that l shows.
func sourceField(w *mesh.Workload, l labelID) *string {
	switch mesh.Label(l) {
	case mesh.LabelSourceWorkload:
		return &w.Name
	case mesh.LabelSourceCanonicalService:
		return &w.CanonicalService
	case mesh.LabelSourceCanonicalRevision:
		return &w.CanonicalRevision
	case mesh.LabelSourceWorkloadNamespace:
		return &w.Namespace
	case mesh.LabelSourcePrincipal:
		return &w.Principal
	case mesh.LabelSourceApp:
		return &w.App
	case mesh.LabelSourceVersion:
		return &w.Version
	}
	return &w.Cluster
}

// destinationField returns the field of w that l shows.
func destinationField(w *mesh.Workload, l labelID) *string {
	switch mesh.Label(l) {
	case mesh.LabelDestinationWorkload:
		return &w.Name
	case mesh.LabelDestinationCanonicalService:
		return &w.CanonicalService
	case mesh.LabelDestinationCanonicalRevision:
		return &w.CanonicalRevision
	case mesh.LabelDestinationWorkloadNamespace:
		return &w.Namespace
	case mesh.LabelDestinationPrincipal:
		return &w.Principal
	case mesh.LabelDestinationApp:
		return &w.App
	case mesh.LabelDestinationVersion:
		return &w.Version
	}
	return &w.Cluster
}

// serviceField returns the field of s that l shows.
func serviceField(s *mesh.DestinationService, l labelID) *string {
	switch mesh.Label(l) {
	case mesh.LabelDestinationService:
		return &s.Host
	case mesh.LabelDestinationServiceName:
		return &s.Name
	}
	return &s.Namespace
}

// workload returns what p stands for. Only labels that no view shows have the
// zero Peer.
func workload(p mesh.Peer) (w mesh.Workload) {
	if p != (mesh.Peer{}) {
		w = p.Value()
	}
	return w
}

// service returns what s stands for, as workload does.
func service(s mesh.Service) (d mesh.DestinationService) {
	if s != (mesh.Service{}) {
		d = s.Value()
	}
	return d
}

var unknownService = mesh.DestinationService{Host: mesh.Unknown, Name: mesh.Unknown, Namespace: mesh.Unknown}

// customValue returns the i-th value of c.
func customValue(c mesh.Custom, i int) string {
	rest := ""
	if c != (mesh.Custom{}) {
		rest = c.Value()
	}
	for ; ; i-- {
		value, after, ok := strings.Cut(rest, "\x00")
		if !ok {
			return mesh.Unknown
		}
		if i == 0 {
			return value
		}
		rest = after
	}
}

// splitCustom returns the n values of s, the value of a mesh.Custom. While
// labels are reloaded, s can hold others than the table's; what it lacks is
// unknown.
func splitCustom(s string, n int) []string {
	values := make([]string, n)
	for i := range values {
		value, after, ok := strings.Cut(s, "\x00")
		if !ok {
			value = mesh.Unknown
		}
		values[i], s = value, after
	}
	return values
}

// joinCustom undoes splitCustom.
func joinCustom(values []string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(v)
		b.WriteByte(0)
	}
	return b.String()
}
