package red

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// maxBuckets bounds the buckets of a histogram.
const maxBuckets = 200

// Validate returns every problem that c has by itself, with the key it is
// under. Names of excluded labels can be custom labels: see
// [Config.ValidateLabels].
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	if len(c.Buckets) == 0 {
		bad("buckets", "must not be empty")
	} else if err := validateBuckets(c.Buckets); err != nil {
		bad("buckets", "%w", err)
	}
	if c.ByteBuckets != ByteBucketsEnvoy && c.ByteBuckets != ByteBucketsCoarse {
		bad("byte_buckets", "%q is neither %q nor %q", c.ByteBuckets, ByteBucketsEnvoy, ByteBucketsCoarse)
	}
	for _, name := range sortedKeys(c.Families) {
		f, key := c.Families[name], "families::"+name
		i := slices.IndexFunc(specs, func(s spec) bool { return s.name == name })
		if i < 0 {
			bad(key, "there is no such family")
			continue
		}
		if len(f.Buckets) > 0 && specs[i].kind != Histogram {
			bad(key+"::buckets", "the family is a counter")
		} else if err := validateBuckets(f.Buckets); err != nil {
			bad(key+"::buckets", "%w", err)
		}
	}
	if c.ZeroFor < 0 {
		bad("zero_for", "must not be negative, is %s", c.ZeroFor)
	}
	if c.Expiry < time.Second {
		bad("expiry", "must be at least 1s, is %s", c.Expiry)
	} else if c.Expiry <= c.ZeroFor {
		bad("expiry", "must be longer than zero_for (%s), is %s: a series would end before its first value is shown", c.ZeroFor, c.Expiry)
	}
	if c.MaxSeries < 1 {
		bad("max_series", "must be at least 1, is %d", c.MaxSeries)
	}
	if c.MaxLabelValues < 1 {
		bad("max_label_values", "must be at least 1, is %d", c.MaxLabelValues)
	}
	if f := c.NativeHistograms.Factor; !(f > 1) || math.IsInf(f, 0) {
		bad("native_histograms::factor", "must be above 1, is %v", f)
	}
	if n := c.NativeHistograms.MaxBuckets; n < 8 || n > 1000 {
		bad("native_histograms::max_buckets", "must be between 8 and 1000, is %d", n)
	}
	if err := c.History.validate(); err != nil {
		errs = append(errs, fmt.Errorf("history::%w", err))
	}
	return errors.Join(errs...)
}

func validateBuckets(bounds []float64) error {
	if len(bounds) > maxBuckets {
		return fmt.Errorf("there are %d, at most %d may be", len(bounds), maxBuckets)
	}
	for i, b := range bounds {
		if !(b > 0) || math.IsInf(b, 0) {
			return fmt.Errorf("%v is not a positive number (+Inf is always there)", b)
		}
		if i > 0 && b <= bounds[i-1] {
			return fmt.Errorf("%v follows %v: they must rise", b, bounds[i-1])
		}
	}
	return nil
}

// ValidateLabels returns every problem that c has together with the custom
// labels: unknown names in exclude_labels.
func (c *Config) ValidateLabels(labels []mesh.CustomLabel) error {
	_, err := c.labelNames(labels)
	return err
}

func (c *Config) labelNames(labels []mesh.CustomLabel) (map[string]labelID, error) {
	byName := make(map[string]labelID)
	for l := range labelID(mesh.NumLabels) {
		byName[mesh.Label(l).String()] = l
	}
	for i, l := range labels {
		byName[l.Name] = labelCustom0 + labelID(i)
	}
	var errs []error
	check := func(key string, names []string) {
		for i, name := range names {
			if _, ok := byName[name]; !ok {
				errs = append(errs, fmt.Errorf("%s[%d]: there is no label %q", key, i, name))
			}
		}
	}
	check("exclude_labels", c.ExcludeLabels)
	for _, name := range sortedKeys(c.Families) {
		check("families::"+name+"::exclude_labels", c.Families[name].ExcludeLabels)
	}
	return byName, errors.Join(errs...)
}

var validLabel = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ValidateCustomLabels returns every problem of the custom labels: names that
// Prometheus cannot have, that are taken, or that are too many.
func ValidateCustomLabels(labels []mesh.CustomLabel) error {
	var errs []error
	if len(labels) > MaxCustomLabels {
		errs = append(errs, fmt.Errorf("there are %d labels, at most %d may be", len(labels), MaxCustomLabels))
	}
	for i, l := range labels {
		_, istio := mesh.ParseLabel(l.Name)
		switch {
		case !validLabel.MatchString(l.Name):
			errs = append(errs, fmt.Errorf("[%d]::name: %q is not a label name", i, l.Name))
		case len(l.Name) >= 2 && l.Name[:2] == "__", l.Name == "le", l.Name == "quantile", l.Name == "job", l.Name == "instance":
			errs = append(errs, fmt.Errorf("[%d]::name: %q is reserved by Prometheus", i, l.Name))
		case istio:
			errs = append(errs, fmt.Errorf("[%d]::name: %q is a standard label: a custom tag of that name sets it without this", i, l.Name))
		case slices.ContainsFunc(labels[:i], func(o mesh.CustomLabel) bool { return o.Name == l.Name }):
			errs = append(errs, fmt.Errorf("[%d]::name: %q is there twice", i, l.Name))
		}
		if filter, key, ok := strings.Cut(l.Metadata, ":"); l.Metadata != "" && (!ok || filter == "" || key == "") {
			errs = append(errs, fmt.Errorf("[%d]::metadata: %q is not <filter>:<key>, as envoy.filters.http.ext_authz:policy_rule", i, l.Metadata))
		}
		if l.Metadata != "" && l.Tag != "" {
			errs = append(errs, fmt.Errorf("[%d]::metadata: the label has a tag too; it has one source", i))
		}
	}
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
