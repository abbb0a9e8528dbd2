package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/fleet"
)

func newEdgesCommand() *cobra.Command {
	var a asks
	var limit int
	cmd := &cobra.Command{
		Use:   "edges",
		Short: "Show who calls whom, how often, how well and how fast",
		Long: `Edges lists the calls of the mesh, the busiest first. Both ends of a call report
it; here it is one line: what the caller's proxy saw, or where that one does not
report, the proxy of the called. Denials are counted where they were made.
` + askingHelp + `
Exit codes: 0 at least one instance answered, 1 none did, 2 the command line is
wrong.`,
		Example: `  tallygate edges
  tallygate edges --to payments.shop --since 5m -o wide
  tallygate edges --where response_code=5*
  tallygate edges -o json | jq '.edges[] | select(.error_ratio > 0.01) | .source + " -> " + .service'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := a.query()
			if err != nil {
				return err
			}
			e, err := fleet.AskEdges(cmd.Context(), a.sources(cmd.Context()), q)
			if err != nil {
				return asked(err)
			}
			warnSilent(cmd.ErrOrStderr(), e.Replicas)
			if limit > 0 && len(e.Edges) > limit {
				e.Edges = e.Edges[:limit]
			}
			if a.output == "json" {
				return writeJSON(cmd.OutOrStdout(), e)
			}
			return printEdges(cmd.OutOrStdout(), &e, a.output == "wide")
		},
	}
	a.addTo(cmd, "15s")
	cmd.Flags().IntVar(&limit, "limit", 0, "no more than so many; 0 is all")
	return cmd
}

func printEdges(w io.Writer, e *fleet.Edges, wide bool) error {
	if len(e.Edges) == 0 {
		_, err := fmt.Fprintf(w, "Nobody called anybody in the last %s, by %s. Is a proxy connected? tallygate doctor\n",
			covered(e.From, e.To), strings.Join(replicaNames(e.Replicas), ", "))
		return err
	}
	t := edgeTable(e.Edges, wide)
	if err := t.print(w); err != nil {
		return err
	}
	return printFooter(w, covered(e.From, e.To), e.Replicas)
}

func edgeTable(edges []fleet.Edge, wide bool) *table {
	var t table
	for _, title := range []string{"FROM", "TO", "SERVICE", "PROTO", "REPORTED BY"} {
		t.column(title, false)
	}
	figureColumns(&t, wide)
	for i := range edges {
		e := &edges[i]
		t.row(append([]cell{
			{text: workloadName(e.Source, e.SourceNamespace)}, {text: workloadName(e.Destination, e.DestinationNamespace)},
			{text: serviceName(e)}, {text: orDash(e.Protocol)}, {strings.Join(e.Reporters, ","), faint},
		}, figureCells(&e.Figures, wide, e.SeenBy)...)...)
	}
	return &t
}

// serviceName is short where the name and namespace are known.
func serviceName(e *fleet.Edge) string {
	if e.ServiceName != "" && e.ServiceName != "unknown" {
		return workloadName(e.ServiceName, e.ServiceNamespace)
	}
	return orDash(e.Service)
}
