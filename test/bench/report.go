package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is the figures of one part as they are written down.
type report struct {
	part    string
	tables  []*table
	targets []target
}

type table struct {
	section, note string
	head          []string
	rows          [][]string
}

// section begins a section; its table follows.
func (r *report) section(title, note string) {
	r.tables = append(r.tables, &table{section: title, note: note})
}

func (r *report) table(head ...string) *table {
	t := r.tables[len(r.tables)-1]
	t.head = head
	return t
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n| %s |\n|%s\n", t.section, t.note, strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, row := range t.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// target is a figure and what it must be.
type target struct {
	name      string
	got       float64
	direction string
	want      float64
	format    string
}

const (
	atLeast = "at least"
	atMost  = "at most"
)

func (r *report) target(name string, got float64, direction string, want float64, format string) {
	r.targets = append(r.targets, target{name, got, direction, want, format})
}

func (t target) met() bool {
	if t.direction == atLeast {
		return t.got >= t.want
	}
	return t.got <= t.want
}

func (r *report) markdown() string {
	var b strings.Builder
	for _, t := range r.tables {
		t.write(&b)
	}
	if len(r.targets) > 0 {
		b.WriteString("\n| target | measured | wanted | |\n|---|---|---|---|\n")
	}
	for _, t := range r.targets {
		met := "met"
		if !t.met() {
			met = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | "+t.format+" | %s %g | %s |\n", t.name, t.got, t.direction, t.want, met)
	}
	fmt.Fprintf(&b, "\n%s\n", machine())
	return b.String()
}

// verdict is an error that names the targets that were missed.
func (r *report) verdict() error {
	var errs []error
	for _, t := range r.targets {
		if !t.met() {
			errs = append(errs, fmt.Errorf("missed: %s is "+t.format+", wanted %s %g", t.name, t.got, t.direction, t.want))
		}
	}
	return errors.Join(errs...)
}

// marks are the lines of the document that a part's figures stand between.
func marks(part string) (begin, end string) {
	return "<!-- make bench: " + part + " -->\n", "<!-- end of " + part + " -->\n"
}

// write puts the figures into the document at path, in the place of the part's
// old ones.
func (r *report) write(path string) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	begin, end := marks(r.part)
	head, rest, ok := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("writing the figures: %s has no lines %q and %q", path, begin, end)
	}
	if err := os.WriteFile(path, []byte(head+begin+r.markdown()+"\n"+end+tail), 0o644); err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return nil
}

// machine says on what the figures were measured.
func machine() string {
	model, mem := "unknown CPU", "unknown memory"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kib); err == nil {
			mem = fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
		}
	}
	return fmt.Sprintf("Measured on %d cores of %s, %s, %s, %s/%s.", runtime.NumCPU(), model, mem, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func median(v []time.Duration) time.Duration {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// thousands writes a whole number as 1,234,567.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(v float64) string {
	switch d := time.Duration(v * 1e9); {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", v*1e6)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", v*1e3)
	default:
		return fmt.Sprintf("%.3g s", v)
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
