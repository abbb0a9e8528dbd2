package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/internal/fleet"
)

// How figures look in every table.

func formatRate(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 10:
		return strconv.FormatFloat(r, 'f', 2, 64)
	case r < 1000:
		return strconv.FormatFloat(r, 'f', 1, 64)
	case r < 1e6:
		return strconv.FormatFloat(r/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(r/1e6, 'f', 1, 64) + "M"
}

func formatPercent(ratio float64) string { return strconv.FormatFloat(ratio*100, 'f', 1, 64) }

func formatMillis(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
	case ms < 10_000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(ms/1000, 'f', 1, 64) + "s"
}

func formatBytes(b float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if b < 1000 {
			return fmt.Sprintf("%.3g %s", b, unit)
		}
		b /= 1000
	}
	return fmt.Sprintf("%.3g TB", b)
}

func errorStyle(ratio float64) style {
	switch {
	case ratio >= 0.05:
		return inRed
	case ratio > 0.005:
		return inYellow
	}
	return plain
}

func workloadName(name, namespace string) string {
	if namespace == "" || namespace == "unknown" {
		return orDash(name)
	}
	return name + "." + namespace
}

// covered says what figures are about.
func covered(from, to time.Time) string { return to.Sub(from).Round(time.Second).String() }

// replicaNames are those that answered.
func replicaNames(list []fleet.Replica) (names []string) {
	for _, r := range list {
		if r.Error == "" {
			names = append(names, r.Name)
		}
	}
	return names
}
