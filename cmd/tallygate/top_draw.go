package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/fleet"
)

// lines draws the view: a head, the edges or the errors of one, and the keys.
func (v *topView) lines(width, height int, now time.Time) []string {
	head := v.head(now)
	foot := v.foot()
	room := max(height-len(head)-1, 1)
	var body []string
	switch {
	case v.help:
		body = topHelp
	case v.open != nil:
		body = v.errorLines(width, now)
	default:
		body = v.edgeLines(width, room)
	}
	if len(body) > room {
		body = body[:room]
	}
	for len(body) < room {
		body = append(body, "")
	}
	out := append(head, body...)
	out = append(out, foot)
	for i, l := range out {
		if !strings.Contains(l, "\x1b") && utf8.RuneCountInString(l) > width {
			out[i] = string([]rune(l)[:width])
		}
	}
	return out
}

var topHelp = strings.Split(`
  j k, arrows   select an edge
  enter         the last errors of the edge; again: back
  r e d l n     sort by rate, errors, denials, latency, name; again: the other way
  /             filter by any part of the names; escape ends it
  + -           a longer, a shorter time
  space         pause
  q             quit

  Both ends of a call report it. The figures are those of the caller's proxy, or
  of the called where that one does not report; denials are those of the end that
  made them.`, "\n")

func (v *topView) head(now time.Time) []string {
	var rate, errors, denied float64
	for i := range v.edges.Edges {
		e := &v.edges.Edges[i]
		rate, errors, denied = rate+e.Rate, errors+e.ErrorRate, denied+e.DeniedRate
	}
	ratio := 0.0
	if rate > 0 {
		ratio = errors / rate
	}
	state := "last " + covered(v.edges.From, v.edges.To)
	if v.paused {
		state = "paused, " + state
	}
	names := replicaNames(v.edges.Replicas)
	first := fmt.Sprintf("tallygate top  %s  %s  by %s", now.Format(time.TimeOnly), state, strings.Join(names, ", "))
	second := fmt.Sprintf("%d edges  %s requests/s  %s %% errors  %s denied/s", len(v.edges.Edges), formatRate(rate), formatPercent(ratio), formatRate(denied))
	out := []string{paint(v.colours, bold, clean(first)), paint(v.colours, errorStyle(ratio), second)}
	for _, r := range v.edges.Replicas {
		if r.Error != "" {
			out = append(out, paint(v.colours, inRed, clean(r.Name+" did not answer: "+r.Error)))
		}
	}
	if v.err != nil {
		out = append(out, paint(v.colours, inRed, clean("No answer, asking again: "+strings.ReplaceAll(v.err.Error(), "\n", "; "))))
	}
	return append(out, "")
}

func (v *topView) foot() string {
	switch {
	case v.typing:
		return paint(v.colours, bold, "filter: "+v.filter+"_")
	case v.filter != "":
		return paint(v.colours, faint, "filter: "+v.filter+"   / changes it, / escape ends it   ? helps   q quits")
	}
	return paint(v.colours, faint, "sorted by "+topOrders[v.order]+"   enter errors   r e d l n sort   / filter   + - time   ? help   q quit")
}

// edgeLines are the titles and the edges around the selected one.
func (v *topView) edgeLines(width, room int) []string {
	list := v.visible()
	if len(list) == 0 {
		if v.filter != "" {
			return []string{"No edge has " + v.filter + " in a name."}
		}
		return []string{"Nobody called anybody in this time. Is a proxy connected? tallygate doctor"}
	}
	selected := slices.IndexFunc(list, func(e fleet.Edge) bool { return e.ID == v.selected })
	rows := max(room-1, 1)
	v.first = min(v.first, max(len(list)-rows, 0))
	if selected >= 0 {
		v.first = min(max(v.first, selected-rows+1), selected)
	}
	shown := list[v.first:min(v.first+rows, len(list))]
	lines := edgeTable(shown, false).lines(v.colours, width)
	if at := selected - v.first + 1; selected >= 0 && at < len(lines) {
		plainLine := edgeTable(shown, false).lines(false, width)[at]
		if v.colours {
			lines[at] = paint(true, inverted, plainLine)
		} else {
			lines[at] = "> " + plainLine
		}
	}
	return lines
}

// errorLines are the last failures of the edge that is open.
func (v *topView) errorLines(width int, now time.Time) []string {
	e := v.open
	out := []string{
		paint(v.colours, bold, clean(workloadName(e.Source, e.SourceNamespace)+" → "+workloadName(e.Destination, e.DestinationNamespace)+"  "+serviceName(e))), "",
	}
	if len(v.failed) == 0 {
		return append(out, "No error or denial is remembered.")
	}
	return append(out, entryTable(v.failed, now).lines(v.colours, width)...)
}
