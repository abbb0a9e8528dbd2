package red

import (
	"strings"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// capLabels makes those labels of k overflow whose value is new and of which
// the view has as many values as it may, and returns them by their place in the
// schema.
func (v *view) capLabels(k *key) (capped uint64) {
	if v.admission.custom > 0 && k.custom != (mesh.Custom{}) && strings.Count(k.custom.Value(), "\x00") != v.admission.custom {
		// Of a reload: equal label sets must have equal keys.
		k.custom = unique.Make(joinCustom(splitCustom(k.custom.Value(), v.admission.custom)))
	}
	var labels labelSet
	for i, l := range v.schema.labels {
		if l == labelID(mesh.LabelReporter) || l == labelID(mesh.LabelRequestProtocol) {
			continue
		}
		values := v.admission.values[i]
		if len(values) < v.limits.labelValues {
			continue
		}
		value := labelValue(k, l)
		if _, ok := values[value]; !ok && value != Overflow {
			labels |= 1 << l
			capped |= 1 << i
		}
	}
	if labels != 0 {
		setOverflow(k, labels)
	}
	return capped
}

// overflowKey returns the key of the overflow series that counts k.
func (v *view) overflowKey(k *key) key {
	o := *k
	keep := labelSet(1)<<mesh.LabelReporter | labelSet(1)<<mesh.LabelRequestProtocol
	setOverflow(&o, v.schema.set&^keep)
	return o
}

// setOverflow makes the labels of k overflow.
func setOverflow(k *key, labels labelSet) {
	if some := labels & sourceLabels; some != 0 {
		w := workload(k.source)
		some.each(func(l labelID) { *sourceField(&w, l) = Overflow })
		k.source = unique.Make(w)
	}
	if some := labels & destinationLabels; some != 0 {
		w := workload(k.destination)
		some.each(func(l labelID) { *destinationField(&w, l) = Overflow })
		k.destination = unique.Make(w)
	}
	if some := labels & serviceLabels; some != 0 {
		s := service(k.service)
		some.each(func(l labelID) { *serviceField(&s, l) = Overflow })
		k.service = unique.Make(s)
	}
	if some := labels >> labelCustom0 << labelCustom0; some != 0 {
		values := splitCustom(k.custom.Value(), strings.Count(k.custom.Value(), "\x00"))
		some.each(func(l labelID) { values[l-labelCustom0] = Overflow })
		k.custom = unique.Make(joinCustom(values))
	}
	if labels.has(labelID(mesh.LabelResponseCode)) || labels.has(labelSpanName) {
		k.setCode(codeOverflow)
	}
	if labels.has(labelID(mesh.LabelGRPCResponseStatus)) {
		k.setStatus(statusOverflow)
	}
	if labels.has(labelID(mesh.LabelResponseFlags)) {
		k.flags = flagsOverflow
	}
	if labels.has(labelID(mesh.LabelConnectionSecurityPolicy)) || labels.has(labelSpanStatus) {
		k.setSecurity(securityOverflow)
	}
	if labels.has(labelSpanService) {
		k.source = unique.Make(mesh.Workload{CanonicalService: Overflow})
	}
}
