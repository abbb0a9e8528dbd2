package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tallygate/tallygate/storage/query"
)

// row is a span in its place in the tree.
type row struct {
	*query.Span
	indent string // the branches before it
}

// rows puts children under their parents, by start. Spans of broken parents are
// roots, and those of a cycle come at the end.
func rows(t *query.Trace) []row {
	byID := map[string]bool{}
	for i := range t.Spans {
		byID[t.Spans[i].SpanID] = true
	}
	children := map[string][]*query.Span{}
	for i := range t.Spans {
		s := &t.Spans[i]
		parent := parentOf(s)
		if !byID[parent] || parent == s.SpanID {
			parent = ""
		}
		children[parent] = append(children[parent], s)
	}
	for _, list := range children {
		slices.SortStableFunc(list, func(a, b *query.Span) int { return cmp.Compare(a.Start, b.Start) })
	}
	var out []row
	shown := map[*query.Span]bool{}
	var walk func(list []*query.Span, indent string, root bool)
	walk = func(list []*query.Span, indent string, root bool) {
		for i, s := range list {
			if shown[s] {
				continue
			}
			shown[s] = true
			branch, below := "├ ", "│ "
			if i == len(list)-1 {
				branch, below = "└ ", "  "
			}
			if root {
				branch, below = "", ""
			}
			out = append(out, row{s, indent + branch})
			walk(children[s.SpanID], indent+below, false)
			delete(children, s.SpanID) // two spans with one id: the first has them
		}
	}
	walk(children[""], "", true)
	for i := range t.Spans {
		if !shown[&t.Spans[i]] {
			walk([]*query.Span{&t.Spans[i]}, "", true)
		}
	}
	return out
}

// parentOf is the id of the span that this one is a child of.
func parentOf(s *query.Span) string {
	follows := ""
	for _, r := range s.Refs {
		if r.TraceID != s.TraceID {
			continue
		}
		if r.Type == "CHILD_OF" {
			return r.SpanID
		}
		follows = cmp.Or(follows, r.SpanID)
	}
	return follows
}

// extent is the first span, and when the trace begins and ends, in µs.
func extent(t *query.Trace) (first *query.Span, start, end int64) {
	for i := range t.Spans {
		s := &t.Spans[i]
		if first == nil || s.Start < start {
			first, start = s, s.Start
		}
		end = max(end, s.Start+s.Duration)
	}
	return first, start, end
}

// drawTrace draws the trace: a line for each span, with a bar for its time.
func drawTrace(t *query.Trace, st pen, tags bool) string {
	_, start, end := extent(t)
	list := rows(t)
	var b strings.Builder
	services := map[string]bool{}
	labels := make([]string, len(list))
	widest := 0
	for i, r := range list {
		service := t.Processes[r.ProcessID].Service
		services[service] = true
		labels[i] = r.indent + printable(service) + " " + printable(r.Operation)
		widest = max(widest, utf8.RuneCountInString(labels[i]))
	}
	total := end - start
	const right = 24 // duration and marks
	widest = min(widest, max(24, st.width-right-20))
	bar := max(16, st.width-right-widest-2)
	fmt.Fprintf(&b, "%s  %s  %d spans, %d services, %s\n", st.bold(t.TraceID),
		time.UnixMicro(start).Format("2006-01-02 15:04:05.000"), len(list), len(services), micros(total))
	for i, r := range list {
		label := fit(labels[i], widest)
		if service := t.Processes[r.ProcessID].Service; st.colour {
			name := printable(service)
			label = strings.Replace(label, name, st.service(name), 1)
		}
		from, to := place(r.Start-start, total, bar), place(r.Start+r.Duration-start, total, bar)
		to = min(max(to, from+1), bar)
		from = min(from, bar-1)
		line := strings.Repeat("█", to-from)
		mark := markOf(r.Span)
		if mark != "" {
			line, mark = st.red(line), st.red(mark)
		}
		fmt.Fprintf(&b, "%s  %s%s%s %10s %s\n", label, strings.Repeat("·", from), line, strings.Repeat("·", bar-to), micros(r.Duration), mark)
		if tags {
			drawTags(&b, r.Span, start, strings.Repeat(" ", utf8.RuneCountInString(r.indent)+4))
		}
	}
	out := strings.Split(b.String(), "\n")
	for i := range out {
		out[i] = strings.TrimRight(out[i], " ")
	}
	return strings.Join(out, "\n")
}

func place(at, total int64, width int) int {
	if total <= 0 {
		return 0
	}
	return int(at * int64(width) / total)
}

// markOf says what is wrong with a span: the code that it was answered with.
func markOf(s *query.Span) string {
	isError, code := false, ""
	for _, kv := range s.Tags {
		switch kv.Key {
		case "error":
			isError = fmt.Sprint(kv.Value) == "true"
		case "http.response.status_code", "http.status_code", "rpc.grpc.status_code":
			code = printable(fmt.Sprint(kv.Value))
		}
	}
	if !isError {
		return ""
	}
	return strings.TrimSpace("✗ " + code)
}

func drawTags(b *strings.Builder, s *query.Span, start int64, indent string) {
	for _, kv := range s.Tags {
		fmt.Fprintf(b, "%s%s = %s\n", indent, printable(kv.Key), printable(fmt.Sprint(kv.Value)))
	}
	for _, l := range s.Logs {
		var fields []string
		for _, kv := range l.Fields {
			fields = append(fields, printable(kv.Key)+" = "+printable(fmt.Sprint(kv.Value)))
		}
		fmt.Fprintf(b, "%s+%s %s\n", indent, micros(l.Time-start), strings.Join(fields, ", "))
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(b, "%s! %s\n", indent, printable(w))
	}
}

// printTraceList prints one line for each trace.
func printTraceList(w io.Writer, list []query.Trace, header bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if header {
		fmt.Fprintln(tw, "START\tDURATION\tSPANS\tERRORS\tSERVICES\tFIRST\tTRACE")
	}
	for i := range list {
		t := &list[i]
		first, start, end := extent(t)
		if first == nil {
			continue
		}
		services, wrong := map[string]bool{}, 0
		for n := range t.Spans {
			services[t.Processes[t.Spans[n].ProcessID].Service] = true
			if markOf(&t.Spans[n]) != "" {
				wrong++
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", time.UnixMicro(start).Format("15:04:05.000"), micros(end-start), len(t.Spans), wrong,
			len(services), fit(printable(t.Processes[first.ProcessID].Service)+" "+printable(first.Operation), 48), t.TraceID)
	}
	return tw.Flush()
}

// micros is a duration of n µs with three or four digits.
func micros(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d µs", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.2f ms", float64(n)/1000)
	}
	return fmt.Sprintf("%.2f s", float64(n)/1_000_000)
}

// fit pads or cuts to n runes.
func fit(s string, n int) string {
	count := utf8.RuneCountInString(s)
	if count <= n {
		return s + strings.Repeat(" ", n-count)
	}
	return string([]rune(s)[:n-1]) + "…"
}

// printable keeps what spans are made of from moving the cursor: names and tags
// come from whoever sends requests.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\uFFFD' || !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

func (st pen) paint(code int, s string) string {
	if !st.colour || s == "" {
		return s
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, s)
}

func (st pen) bold(s string) string { return st.paint(1, s) }

func (st pen) red(s string) string { return st.paint(31, s) }

// service paints every service in a colour of its own, but not in red.
func (st pen) service(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return st.paint([]int{32, 33, 34, 35, 36, 92, 93, 94, 95, 96}[h.Sum32()%10], name)
}
