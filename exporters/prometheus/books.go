package prometheus

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/tallygate/tallygate/red"
)

// ownFamilies returns istio_build and the table's own figures, which come from
// the same snapshot as the families.
func (h *Handler) ownFamilies(s *red.Stats) []*dto.MetricFamily {
	views := slices.SortedFunc(slices.Values(s.Views), func(a, b red.ViewStats) int { return cmp.Compare(a.Name, b.Name) })
	labels := slices.SortedFunc(slices.Values(s.Capped), func(a, b red.LabelCount) int { return cmp.Compare(a.Label, b.Label) })
	byView := func(name, help string, value func(*red.ViewStats) uint64) *dto.MetricFamily {
		f := family(name, help, dto.MetricType_COUNTER)
		for i := range views {
			add(f, float64(value(&views[i])), red.LabelView, views[i].Name)
		}
		return f
	}
	build := family(red.MetricBuild, "The version that runs.", dto.MetricType_GAUGE)
	add(build, 1, "component", h.cfg.Component, "tag", h.cfg.Tag)

	counted := family(red.MetricEntriesCounted, "Access-log entries that were counted, also those in series that expired or are held at 0.", dto.MetricType_COUNTER)
	add(counted, float64(s.Counted))

	series := family(red.MetricSeries, "Label sets by view.", dto.MetricType_GAUGE)
	for _, v := range views {
		add(series, float64(v.Series), red.LabelView, v.Name)
	}
	capped := family(red.MetricLabelsCapped, "Labels of counted entries that became overflow because the label has max_label_values values.", dto.MetricType_COUNTER)
	for _, l := range labels {
		add(capped, float64(l.Count), red.LabelLabel, l.Label)
	}

	families := []*dto.MetricFamily{
		build, counted, series,
		byView(red.MetricSeriesCreated, "Label sets that came.", func(v *red.ViewStats) uint64 { return v.Created }),
		byView(red.MetricSeriesExpired, "Label sets that went because no entry had them for the expiry.", func(v *red.ViewStats) uint64 { return v.Expired }),
		byView(red.MetricEntriesOverflowed, "Entries counted in an overflow series because the view has max_series label sets.", func(v *red.ViewStats) uint64 { return v.Overflowed }),
		capped,
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 })
}

func family(name, help string, kind dto.MetricType) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
}

// add adds a value with the given label names and values in turns.
func add(f *dto.MetricFamily, value float64, labels ...string) {
	m := &dto.Metric{}
	for i := 0; i < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	if f.GetType() == dto.MetricType_GAUGE {
		m.Gauge = &dto.Gauge{Value: &value}
	} else {
		m.Counter = &dto.Counter{Value: &value}
	}
	f.Metric = append(f.Metric, m)
}
