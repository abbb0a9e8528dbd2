package red

import "time"

// Config is the section red of the configuration.
type Config struct {
	// Buckets are the upper bounds of the duration histograms, in milliseconds.
	Buckets []float64 `mapstructure:"buckets"`
	// ByteBuckets is the preset of the size histograms: envoy or coarse.
	ByteBuckets string `mapstructure:"byte_buckets"`
	// ExcludeLabels are taken out of every family, custom labels included.
	ExcludeLabels []string `mapstructure:"exclude_labels"`
	// Families changes single families, by the name of the metric.
	Families map[string]FamilyConfig `mapstructure:"families"`

	// Expiry removes a series that got no entry for so long.
	Expiry time.Duration `mapstructure:"expiry"`
	// ZeroFor shows a new series at 0 for so long, so that its first entries
	// make a rate: the scrape interval.
	ZeroFor time.Duration `mapstructure:"zero_for"`
	// MaxSeries bounds the label sets of each view; entries of others count in
	// an overflow series.
	MaxSeries int `mapstructure:"max_series"`
	// MaxLabelValues bounds the values of each label of a view; others become
	// "overflow".
	MaxLabelValues int `mapstructure:"max_label_values"`

	// Exemplars keeps the trace ids of sampled requests.
	Exemplars        bool         `mapstructure:"exemplars"`
	NativeHistograms NativeConfig `mapstructure:"native_histograms"`
	// SpanMetrics adds the traces_span_metrics_* families of Jaeger's Monitor tab.
	SpanMetrics bool `mapstructure:"span_metrics"`
	// SynthesizeSourceReporter counts every report of a destination a second time
	// with the reporter source and an unknown security policy: for meshes in
	// which only servers report.
	SynthesizeSourceReporter bool `mapstructure:"synthesize_source_reporter"`
	// History keeps the last hour in memory, for the console and the command line.
	History HistoryConfig `mapstructure:"history"`
}

// FamilyConfig is the configuration of one family.
type FamilyConfig struct {
	Disabled bool `mapstructure:"disabled"`
	// ExcludeLabels are taken out beside those of Config.
	ExcludeLabels []string `mapstructure:"exclude_labels"`
	// Buckets replace those of Config in this family if there are any.
	Buckets []float64 `mapstructure:"buckets"`
}

// NativeConfig is the configuration of native histograms. They are exposed
// beside the buckets where the format has them: in Prometheus' protobuf and
// OTLP.
type NativeConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Factor is the most by which a bucket may be wider than the one before.
	Factor float64 `mapstructure:"factor"`
	// MaxBuckets bounds the buckets of a series; beyond it the resolution is
	// halved.
	MaxBuckets int `mapstructure:"max_buckets"`
}

// Presets of Config.ByteBuckets.
const (
	ByteBucketsEnvoy  = "envoy"
	ByteBucketsCoarse = "coarse"
)

// DefaultConfig returns the configuration of a Table that nobody configured.
func DefaultConfig() Config {
	return Config{
		Buckets:        append([]float64(nil), DefaultBuckets...),
		ByteBuckets:    ByteBucketsEnvoy,
		Families:       map[string]FamilyConfig{},
		Expiry:         10 * time.Minute,
		ZeroFor:        15 * time.Second,
		MaxSeries:      50_000,
		MaxLabelValues: 10_000,
		Exemplars:      true,
		NativeHistograms: NativeConfig{
			Factor:     1.1,
			MaxBuckets: 160,
		},
		History: HistoryConfig{Enabled: true, MaxSizeMiB: 64},
	}
}

// views returns the views that c makes.
func (c *Config) views(custom int, labelByName map[string]labelID) []viewDef {
	excluded := func(names []string) (s labelSet) {
		for _, name := range names {
			s |= 1 << labelByName[name]
		}
		return s
	}
	var defs []viewDef
	for _, sp := range specs {
		fc := c.Families[sp.name]
		if fc.Disabled || sp.group == groupSpans && !c.SpanMetrics {
			continue
		}
		f := familyDef{spec: sp}
		if sp.kind == Histogram {
			switch {
			case len(fc.Buckets) > 0:
				f.bounds = fc.Buckets
			case sp.unit == unitMilliseconds:
				f.bounds = c.Buckets
			case c.ByteBuckets == ByteBucketsCoarse:
				f.bounds = CoarseByteBuckets
			default:
				f.bounds = DefaultBuckets
			}
			f.native = c.NativeHistograms.Enabled
			f.schema = schemaFor(c.NativeHistograms.Factor)
		}
		labels := groupLabels(sp.group, custom) &^ excluded(c.ExcludeLabels) &^ excluded(fc.ExcludeLabels)
		defs = addFamily(defs, labels, f)
	}
	return defs
}

// addFamily adds f to the view of its group that has its labels.
func addFamily(defs []viewDef, labels labelSet, f familyDef) []viewDef {
	for i := range defs {
		if d := &defs[i]; d.group == f.group && d.labels == labels {
			d.families = append(d.families, f)
			return defs
		}
	}
	return append(defs, viewDef{group: f.group, labels: labels, families: []familyDef{f}})
}
