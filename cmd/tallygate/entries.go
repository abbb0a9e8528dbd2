package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/internal/tap"
)

func outcomeStyle(e *fleet.Entry) style {
	switch e.Outcome {
	case tap.Error:
		return inRed
	case tap.Denied:
		return inYellow
	}
	return plain
}

// statusText is the code, for gRPC with its status, and the flags.
func statusText(e *fleet.Entry) string {
	s := strconv.FormatUint(uint64(e.Code), 10)
	if e.Code == 0 {
		s = "-"
	}
	if e.GRPCStatus != nil {
		s += "/" + strconv.Itoa(int(*e.GRPCStatus))
	}
	if e.Flags != "" {
		s += " " + e.Flags
	}
	return s
}

func request(e *fleet.Entry) string {
	if e.Protocol == "tcp" {
		return "tcp"
	}
	return strings.TrimSpace(e.Method + " " + e.Authority + e.Path)
}

// entryLine is an entry on one line, with what leads on.
func entryLine(e *fleet.Entry, colours bool) string {
	parts := []string{
		e.Time.Local().Format("15:04:05.000"),
		paint(colours, outcomeStyle(e), fmt.Sprintf("%-6s %-9s", e.Outcome, statusText(e))),
		fmt.Sprintf("%7s", formatMillis(e.Millis)),
		clean(workloadName(e.Source, e.SourceNamespace) + " → " + workloadName(e.Destination, e.DestinationNamespace)),
		clean(request(e)),
	}
	var more []string
	for _, m := range []struct{ name, value string }{
		{"by", e.Reporter}, {"details", e.CodeDetails}, {"rule", e.Rule}, {"decision", e.DecisionID}, {"trace", e.TraceID}, {"request", e.RequestID}, {"replica", e.Replica},
	} {
		if m.value != "" {
			more = append(more, m.name+"="+clean(m.value))
		}
	}
	return strings.Join(parts, "  ") + "  " + paint(colours, faint, strings.Join(more, " "))
}

// entryTable is entries in columns, for a screen.
func entryTable(entries []fleet.Entry, now time.Time) *table {
	var t table
	for i, title := range []string{"AGO", "STATUS", "TOOK", "REQUEST", "WHY", "TRACE", "REPORTED BY"} {
		t.column(title, i == 0 || i == 2)
	}
	for i := range entries {
		e := &entries[i]
		why := e.Rule
		if why == "" {
			why = e.CodeDetails
		}
		t.row(
			cell{text: max(now.Sub(e.Time), 0).Truncate(time.Second).String()}, cell{statusText(e), outcomeStyle(e)}, cell{text: formatMillis(e.Millis)},
			cell{text: request(e)}, cell{text: orDash(why)}, cell{text: orDash(e.TraceID)}, cell{e.Reporter, faint},
		)
	}
	return &t
}
