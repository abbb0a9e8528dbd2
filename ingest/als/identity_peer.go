package als

import (
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// Evidence about a workload is a mesh.Workload whose empty fields say nothing.

// peerMetadata reads the Struct that Istio's metadata exchange leaves in the
// filter state; w's strings alias b. It takes the names of both generations.
// Source: istio/proxy, extensions/common/metadata_object.h.
func peerMetadata(b []byte, w *mesh.Workload) (ok bool) {
	*w = mesh.Workload{}
	ok = true
	var labels []byte
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		i = end
		if tag != 1<<3|wire.Bytes {
			continue
		}
		key, value, sound := mapEntry(b[v:end])
		if !sound {
			return false
		}
		switch wire.Lend(key) {
		case "workload", "WORKLOAD_NAME":
			w.Name = stringValue(value)
		case "namespace", "NAMESPACE":
			w.Namespace = stringValue(value)
		case "cluster", "CLUSTER_ID":
			w.Cluster = stringValue(value)
		case "service":
			w.CanonicalService = stringValue(value)
		case "revision":
			w.CanonicalRevision = stringValue(value)
		case "app":
			w.App = stringValue(value)
		case "version":
			w.Version = stringValue(value)
		case "identity":
			w.Principal = stringValue(value)
		case "labels", "LABELS":
			labels = structValue(value)
		}
	}
	if len(labels) > 0 {
		var l mesh.Workload
		workloadLabels(labels, &l, &ok)
		fill(w, &l)
	}
	return ok
}

// workloadLabels reads a Struct of Kubernetes labels.
func workloadLabels(b []byte, w *mesh.Workload, ok *bool) {
	var k8sName string
	for key, value := range structFields(b, ok) {
		switch key {
		case "app":
			w.App = stringValue(value)
		case "version":
			w.Version = stringValue(value)
		case "service.istio.io/canonical-name":
			w.CanonicalService = stringValue(value)
		case "service.istio.io/canonical-revision":
			w.CanonicalRevision = stringValue(value)
		case "app.kubernetes.io/name":
			k8sName = stringValue(value)
		}
	}
	if w.CanonicalService == "" {
		w.CanonicalService = k8sName
	}
	if w.CanonicalService == "" {
		w.CanonicalService = w.App
	}
	if w.CanonicalRevision == "" {
		w.CanonicalRevision = w.Version
	}
}

// fill takes from src what dst does not say.
func fill(dst, src *mesh.Workload) {
	set := func(d *string, s string) {
		if *d == "" {
			*d = s
		}
	}
	set(&dst.Name, src.Name)
	set(&dst.Namespace, src.Namespace)
	set(&dst.CanonicalService, src.CanonicalService)
	set(&dst.CanonicalRevision, src.CanonicalRevision)
	set(&dst.Principal, src.Principal)
	set(&dst.App, src.App)
	set(&dst.Version, src.Version)
	set(&dst.Cluster, src.Cluster)
}
