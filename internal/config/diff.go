package config

import (
	"reflect"
	"slices"
	"strings"
)

// Change is a key that differs between two configurations.
type Change struct {
	Path    string
	Restart bool // it cannot be applied while running
}

// hot are the keys that apply while running; every other key needs a restart.
// The longest pattern that matches decides. "*" stands for one part of a path.
var hot = map[string]bool{
	"labels":                            true,
	"log.level":                         true,
	"ingest.als.tls":                    true,
	"ingest.extauthz.tls":               true,
	"ingest.extauthz.on_error":          true,
	"ingest.extauthz.error_status":      true,
	"ingest.extauthz.entrypoints":       true,
	"ingest.extauthz.entrypoint_key":    true,
	"ingest.extauthz.timeout":           true,
	"ingest.extauthz.max_in_flight":     true,
	"ingest.extauthz.quota_headers":     true,
	"ingest.extauthz.quota_body":        true,
	"ingest.extauthz.parse_body":        true,
	"ingest.extauthz.max_body_kib":      true,
	"ingest.extauthz.proto_descriptor":  true,
	"ingest.forward_auth.tls":           true,
	"policy":                            true,
	"quota":                             true,
	"quota.source":                      false,
	"quota.redis":                       false,
	"quota.redis.timeout":               true,
	"quota.redis.max_pending":           true,
	"policy.shadow.queue_size":          false,
	"red":                               true,
	"red.buckets":                       false,
	"red.byte_buckets":                  false,
	"red.families.*.buckets":            false,
	"red.native_histograms.enabled":     false,
	"red.native_histograms.factor":      false,
	"prometheus.tls":                    true,
	"exporters":                         true,
	"extensions":                        true,
	"spans":                             true,
	"query.tls":                         true,
	"push":                              true,
	"tap":                               true,
	"admin.peers":                       true,
	"admin.peer_tls":                    true,
	"admin.trace_url":                   true,
	"admin.tls":                         true,
	"drain":                             true,
	"ingest.ratelimit.tls":              true,
	"ingest.ratelimit.on_error":         true,
	"ingest.ratelimit.timeout":          true,
	"ingest.ratelimit.max_in_flight":    true,
	"ingest.ratelimit.shadow":           true,
	"ingest.ratelimit.quota_mode":       true,
	"ingest.ratelimit.dynamic_metadata": true,
	"ingest.ratelimit.response_headers": true,
	"ingest.ratelimit.body":             true,
	"ingest.ratelimit.near_limit_ratio": true,
	"ingest.ratelimit.max_metrics":      true,
	"ratelimit":                         true,
	"ratelimit.entrypoint":              false,
}

// Diff returns the keys that differ, in order. A TLS, policy or ratelimit section
// that comes or goes needs a restart, one that changes does not.
func Diff(before, after *Config) []Change {
	a, b := flatten(before), flatten(after)
	var changes []Change
	add := func(path string) { changes = append(changes, Change{path, !isHot(path)}) }
	for path, v := range a {
		if w, ok := b[path]; !ok || !reflect.DeepEqual(v, w) {
			add(path)
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			add(path)
		}
	}
	for i, c := range changes {
		if strings.HasSuffix(c.Path, ".tls") || c.Path == "policy" || c.Path == "ratelimit" {
			changes[i].Restart = true
		}
	}
	slices.SortFunc(changes, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return changes
}

// Restart returns the paths of the changes that need one.
func Restart(changes []Change) []string {
	var paths []string
	for _, c := range changes {
		if c.Restart {
			paths = append(paths, c.Path)
		}
	}
	return paths
}

func flatten(c *Config) map[string]any {
	flat := map[string]any{}
	tree := newTree(reflect.ValueOf(DefaultConfig()))
	tree.visit(reflect.ValueOf(*c), "", func(path string, _ *field, v reflect.Value) {
		if (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
			return // absent and empty are the same
		}
		flat[path] = v.Interface()
	})
	return flat
}

func isHot(path string) bool {
	parts := strings.Split(path, ".")
	longest, is := 0, false
	for pattern, h := range hot {
		want := strings.Split(pattern, ".")
		if len(want) > longest && matches(parts, want) {
			longest, is = len(want), h
		}
	}
	return is
}

func matches(parts, pattern []string) bool {
	if len(parts) < len(pattern) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != parts[i] {
			return false
		}
	}
	return true
}
