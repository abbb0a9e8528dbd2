package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tallygate/tallygate/internal/fleet"
)

func newTopCommand() *cobra.Command {
	var a asks
	var interval time.Duration
	var order string
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch who calls whom, live and sortable",
		Long: `Top shows the edges of the mesh and keeps them up to date: who calls whom, how
often, how many calls fail or are denied, and how long they take. Where the output
is no terminal it prints one table and ends, as edges does.

Keys: up/down or j/k select, enter shows the last errors of the edge, r e d l n
sort by rate, errors, denials, latency, name (again: the other way), / filters,
+ and - change the time, space pauses, ? helps, q quits.
` + askingHelp + `
Exit codes: 0 quit, 1 no instance answered at the start, 2 the command line is
wrong.`,
		Example: `  tallygate top
  tallygate top --sort errors --since 1m
  tallygate top --server tallygate.mesh:8282 --to payments.shop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := a.query()
			if err != nil {
				return err
			}
			by, ok := parseTopOrder(order)
			if !ok {
				return usage(fmt.Errorf("--sort %s: want one of %s", order, strings.Join(topOrders, ", ")))
			}
			if interval < 500*time.Millisecond {
				return usage(fmt.Errorf("--interval %s: want at least 500ms", interval))
			}
			first, err := fleet.AskEdges(cmd.Context(), a.sources(cmd.Context()), q)
			if err != nil {
				return asked(err)
			}
			in, inOK := cmd.InOrStdin().(*os.File)
			out, outOK := cmd.OutOrStdout().(*os.File)
			if a.output != "table" || !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
				warnSilent(cmd.ErrOrStderr(), first.Replicas)
				v := topView{edges: first, order: by}
				first.Edges = v.visible()
				if a.output == "json" {
					return writeJSON(cmd.OutOrStdout(), first)
				}
				return printEdges(cmd.OutOrStdout(), &first, a.output == "wide")
			}
			t := &top{a: &a, in: in, out: out, interval: interval}
			t.view = topView{edges: first, order: by, since: a.since, colours: isTerminal(out)}
			return t.run(cmd.Context())
		},
	}
	a.addTo(cmd, "15s")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "how often to ask")
	cmd.Flags().StringVar(&order, "sort", "rate", "order: "+strings.Join(topOrders, ", "))
	return cmd
}

// top is a terminal that shows a topView.
type top struct {
	a        *asks
	in, out  *os.File
	interval time.Duration
	view     topView
}

// topAnswer is what came of asking once.
type topAnswer struct {
	edges  fleet.Edges
	failed []fleet.Entry
	err    error
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTheTop    = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func (t *top) run(ctx context.Context) error {
	ctx, stop := signalContext(ctx)
	defer stop()
	old, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return fmt.Errorf("preparing the terminal: %w", err)
	}
	defer func() {
		_, _ = io.WriteString(t.out, leaveScreen)
		_ = term.Restore(int(t.in.Fd()), old)
	}()
	if _, err := io.WriteString(t.out, enterScreen); err != nil {
		return err
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	keys := make(chan []byte)
	go readKeys(ctx, t.in, keys)

	answers := make(chan topAnswer, 1)
	asking := false
	ask := func() {
		if !asking {
			asking = true
			go func(since string, edge *fleet.Edge) { answers <- t.ask(ctx, since, edge) }(t.view.since, t.view.open)
		}
	}
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		if err := t.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case b, ok := <-keys:
			if !ok {
				return nil
			}
			quit, again := t.view.keys(b)
			if quit {
				return nil
			}
			if again {
				ask()
			}
		case <-tick.C:
			if !t.view.paused {
				ask()
			}
		case answer := <-answers:
			asking = false
			t.view.take(answer)
		case <-resized:
		}
	}
}

func (t *top) ask(ctx context.Context, since string, open *fleet.Edge) topAnswer {
	q, err := t.a.query()
	if err != nil {
		return topAnswer{err: err}
	}
	q.Set("since", since)
	sources := t.a.sources(ctx)
	answer := topAnswer{}
	answer.edges, answer.err = fleet.AskEdges(ctx, sources, q)
	if open != nil && answer.err == nil {
		var entries fleet.Entries
		entries, answer.err = fleet.AskEntries(ctx, sources, open.Filter())
		answer.failed = entries.Entries
	}
	return answer
}

// draw writes the whole screen at once.
func (t *top) draw() error {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := t.view.lines(width, height, time.Now())
	var b strings.Builder
	b.WriteString(toTheTop)
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l)
		b.WriteString(clearLine)
	}
	b.WriteString(clearBelow)
	_, err = io.WriteString(t.out, b.String())
	return err
}

// readKeys sends what is typed, in the pieces in which it comes.
func readKeys(ctx context.Context, in io.Reader, keys chan<- []byte) {
	defer close(keys)
	buf := make([]byte, 64)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			select {
			case keys <- append([]byte(nil), buf[:n]...):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return
			}
			return
		}
	}
}
