package red

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// RestartKeys returns the keys, relative to the section, in which two
// configurations differ and which a running table cannot change: the buckets.
func RestartKeys(old, changed Config) []string {
	var keys []string
	if !slices.Equal(old.Buckets, changed.Buckets) {
		keys = append(keys, "buckets")
	}
	if old.ByteBuckets != changed.ByteBuckets {
		keys = append(keys, "byte_buckets")
	}
	for _, s := range specs {
		if !slices.Equal(old.Families[s.name].Buckets, changed.Families[s.name].Buckets) {
			keys = append(keys, "families::"+s.name+"::buckets")
		}
	}
	if old.NativeHistograms.Enabled != changed.NativeHistograms.Enabled {
		keys = append(keys, "native_histograms::enabled")
	}
	if old.NativeHistograms.Factor != changed.NativeHistograms.Factor {
		keys = append(keys, "native_histograms::factor")
	}
	return keys
}

// Reconfigure replaces the configuration. Views whose families and labels stay
// as they are keep their series; the series of the others end, and what they
// counted stays in the books. If an error is returned, nothing has changed:
// that is also so if one of RestartKeys differs.
func (t *Table) Reconfigure(cfg Config, labels []mesh.CustomLabel) error {
	t.mu.RLock()
	keys := RestartKeys(t.cfg, cfg)
	t.mu.RUnlock()
	if len(keys) > 0 {
		return fmt.Errorf("needs restart: %s", strings.Join(keys, ", "))
	}
	if err := t.apply(cfg, labels); err != nil {
		return err
	}
	select {
	case t.reconfigured <- struct{}{}:
	default:
	}
	return nil
}

func (t *Table) apply(cfg Config, labels []mesh.CustomLabel) error {
	byName, err := cfg.labelNames(labels)
	if err := errors.Join(cfg.Validate(), ValidateCustomLabels(labels), err); err != nil {
		return err
	}
	defs := cfg.views(len(labels), byName)
	groups := [numGroups]int{}
	for _, d := range defs {
		groups[d.group]++
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	views := make([]*view, 0, len(defs))
	var byGroup [numGroups][]*view
	for _, d := range defs {
		v := newView(d, labels, viewName(d, groups[d.group] == 1))
		for _, old := range t.views {
			if old.same(v) {
				old.name, v = v.name, old
			}
		}
		v.limits = limits{
			series:      cfg.MaxSeries,
			labelValues: cfg.MaxLabelValues,
			buckets:     cfg.NativeHistograms.MaxBuckets,
			exemplars:   cfg.Exemplars,
		}
		views = append(views, v)
		byGroup[d.group] = append(byGroup[d.group], v)
	}
	for _, old := range t.views {
		if !slices.Contains(views, old) {
			t.retire(old)
		}
	}
	t.cfg, t.labels, t.views, t.byGroup = cfg, labels, views, byGroup
	return nil
}

// same reports whether the series of v can go on as those of o.
func (v *view) same(o *view) bool {
	return v.group == o.group && v.schema.set == o.schema.set && slices.Equal(v.schema.names, o.schema.names) &&
		slices.EqualFunc(v.takes, o.takes, func(a, b take) bool {
			return a.family.Name == b.family.Name && slices.Equal(a.family.Bounds, b.family.Bounds) &&
				a.family.Native == b.family.Native && a.family.schema == b.family.schema
		})
}
