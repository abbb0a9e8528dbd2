// Package telemetry is how Tallygate speaks about itself: its log, its own
// metrics registry, its version and the memory limit it gives the runtime.
//
// In: the log section of the configuration, /proc and /sys. Out: a
// [log/slog.Logger] whose level can change while it is used, a
// prometheus.Registry that only Tallygate's own figures go into (the mesh's
// metrics never do), and what `tallygate version` prints.
//
// It holds nothing global and starts no goroutines.
package telemetry
