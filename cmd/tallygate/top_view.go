package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/fleet"
)

// topOrders are what edges can be sorted by, and topKeys the keys for them.
var topOrders = []string{"rate", "errors", "denied", "latency", "name"}

const topKeys = "redln"

// topTimes are what + and - go through.
var topTimes = []string{"5s", "15s", "1m", "5m", "15m", "1h"}

func parseTopOrder(name string) (int, bool) {
	i := slices.Index(topOrders, name)
	return i, i >= 0
}

// topView is what top shows, without a terminal.
type topView struct {
	edges   fleet.Edges
	err     error // of the last question
	since   string
	colours bool

	order    int // in topOrders
	reverse  bool
	filter   string
	typing   bool // of the filter
	paused   bool
	help     bool
	selected string // ID of an edge
	first    int    // edge on the screen

	open   *fleet.Edge // whose errors are shown
	failed []fleet.Entry
}

// take shows an answer.
func (v *topView) take(a topAnswer) {
	if v.err = a.err; a.err != nil {
		return
	}
	v.edges, v.failed = a.edges, a.failed
}

// visible are the edges that pass the filter, in order.
func (v *topView) visible() []fleet.Edge {
	var out []fleet.Edge
	for _, e := range v.edges.Edges {
		text := strings.ToLower(workloadName(e.Source, e.SourceNamespace) + " " + workloadName(e.Destination, e.DestinationNamespace) + " " + e.Service + " " + e.Protocol)
		if v.filter == "" || strings.Contains(text, strings.ToLower(v.filter)) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b fleet.Edge) int {
		c := 0
		switch topOrders[v.order] {
		case "rate":
			c = cmp.Compare(b.Rate+b.TCPRate*1e-9, a.Rate+a.TCPRate*1e-9)
		case "errors":
			c = cmp.Or(cmp.Compare(b.ErrorRate, a.ErrorRate), cmp.Compare(b.ErrorRatio, a.ErrorRatio))
		case "denied":
			c = cmp.Compare(b.DeniedRate, a.DeniedRate)
		case "latency":
			c = cmp.Or(cmp.Compare(b.P99, a.P99), cmp.Compare(b.P95, a.P95))
		}
		if v.reverse {
			c = -c
		}
		c = cmp.Or(c, cmp.Compare(a.Source, b.Source), cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
		if v.reverse && topOrders[v.order] == "name" {
			c = -c
		}
		return c
	})
	return out
}

// keys does what was typed. again says that the question has changed.
func (v *topView) keys(b []byte) (quit, again bool) {
	for len(b) > 0 {
		key, n := nextKey(b)
		b = b[n:]
		if v.typing {
			v.typeFilter(key)
			continue
		}
		q, a := v.key(key)
		quit, again = quit || q, again || a
	}
	return quit, again
}

// nextKey returns a key: a rune by itself, an escape sequence by its last byte
// after "^".
func nextKey(b []byte) (key string, n int) {
	if b[0] == 0x1b && len(b) >= 3 && (b[1] == '[' || b[1] == 'O') {
		for n = 2; n < len(b) && (b[n] < '@' || b[n] > '~'); n++ {
		}
		if n < len(b) {
			return "^" + string(b[n]), n + 1
		}
		return "", len(b)
	}
	_, n = utf8.DecodeRune(b)
	return string(b[:n]), n
}

func (v *topView) typeFilter(key string) {
	switch key {
	case "\r", "\n":
		v.typing = false
	case "\x1b", "\x03":
		v.typing, v.filter = false, ""
	case "\x7f", "\b":
		if r := []rune(v.filter); len(r) > 0 {
			v.filter = string(r[:len(r)-1])
		}
	default:
		if key >= " " && !strings.HasPrefix(key, "^") || key == "^" {
			v.filter += key
		}
	}
}

func (v *topView) key(key string) (quit, again bool) {
	switch key {
	case "q", "\x03", "\x04":
		return true, false
	case "\x1b":
		v.help, v.open, v.failed = false, nil, nil
	case "?", "h":
		v.help = !v.help
	case " ":
		v.paused = !v.paused
		return false, !v.paused
	case "/":
		v.typing, v.open = true, nil
	case "+", "=", "-":
		i := max(slices.Index(topTimes, v.since), 0)
		if key == "-" {
			i--
		} else {
			i++
		}
		v.since = topTimes[min(max(i, 0), len(topTimes)-1)]
		return false, true
	case "j", "^B":
		v.move(1)
	case "k", "^A":
		v.move(-1)
	case "\r", "\n":
		if e := v.current(); e != nil && v.open == nil {
			v.open, v.failed = e, nil
			return false, true
		}
		v.open, v.failed = nil, nil
	default:
		if i := strings.Index(topKeys, key); i >= 0 && len(key) == 1 {
			v.reverse = v.order == i && !v.reverse
			v.order = i
		}
	}
	return false, false
}

func (v *topView) current() *fleet.Edge {
	list := v.visible()
	i := slices.IndexFunc(list, func(e fleet.Edge) bool { return e.ID == v.selected })
	if i < 0 {
		if len(list) == 0 {
			return nil
		}
		i = 0
	}
	return &list[i]
}

func (v *topView) move(by int) {
	list := v.visible()
	if len(list) == 0 {
		return
	}
	i := slices.IndexFunc(list, func(e fleet.Edge) bool { return e.ID == v.selected })
	if i < 0 && by > 0 {
		i = -1
	}
	v.selected = list[min(max(i+by, 0), len(list)-1)].ID
}
