package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// style is an SGR sequence of terminals; empty is plain.
type style string

const (
	plain    style = ""
	bold     style = "1"
	faint    style = "2"
	inRed    style = "31"
	inYellow style = "33"
	inGreen  style = "32"
	inverted style = "7"
)

// cell is a piece of a table.
type cell struct {
	text  string
	style style
}

// table is rows under titles. Numbers stand to the right.
type table struct {
	titles []string
	right  []bool
	rows   [][]cell
}

func (t *table) column(title string, right bool) {
	t.titles = append(t.titles, title)
	t.right = append(t.right, right)
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// widths returns how wide each column is.
func (t *table) widths() []int {
	w := make([]int, len(t.titles))
	for i, title := range t.titles {
		w[i] = utf8.RuneCountInString(title)
	}
	for _, r := range t.rows {
		for i, c := range r {
			w[i] = max(w[i], utf8.RuneCountInString(c.text))
		}
	}
	return w
}

// lines renders the table, its titles first. No line is wider than width, if
// that is not 0.
func (t *table) lines(colours bool, width int) []string {
	w := t.widths()
	head := make([]cell, len(t.titles))
	for i, title := range t.titles {
		head[i] = cell{title, bold}
	}
	out := make([]string, 0, len(t.rows)+1)
	for _, r := range append([][]cell{head}, t.rows...) {
		var b strings.Builder
		at := 0
		for i, c := range r {
			pad := w[i] - utf8.RuneCountInString(c.text)
			text := clean(c.text)
			if width > 0 && at+w[i] > width {
				cut := max(width-at, 0)
				if utf8.RuneCountInString(text) > cut {
					text = string([]rune(text)[:cut])
				}
				pad = max(min(pad, cut-utf8.RuneCountInString(text)), 0)
			}
			if t.right[i] {
				b.WriteString(strings.Repeat(" ", pad))
			}
			b.WriteString(paint(colours, c.style, text))
			if i == len(r)-1 {
				break
			}
			if !t.right[i] {
				b.WriteString(strings.Repeat(" ", pad))
			}
			b.WriteString("  ")
			if at += w[i] + 2; width > 0 && at >= width {
				break
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}

func (t *table) print(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(t.lines(isTerminal(w), 0), "\n")+"\n")
	return err
}

// clean keeps what a proxy reported from driving the terminal.
func clean(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f || s[i] >= 0x80 {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
					return '?'
				}
				return r
			}, s)
		}
	}
	return s
}

func paint(colours bool, s style, text string) string {
	if !colours || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// isTerminal reports whether w is one that wants colours.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
