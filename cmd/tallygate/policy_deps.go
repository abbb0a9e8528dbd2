package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/opa"
)

// deps is what policy deps prints of an entrypoint.
type deps struct {
	Entrypoint string     `json:"entrypoint"`
	Reads      []depsPath `json:"reads"`
	KindsOf    []depsPath `json:"kinds_of,omitempty"` // only presence and kind matter
	Cacheable  bool       `json:"cacheable"`
	NeedsTTL   bool       `json:"needs_ttl"`
	TTL        string     `json:"ttl,omitempty"`
	Reasons    []string   `json:"reasons,omitempty"`
	Builtins   []string   `json:"builtins,omitempty"`
}

type depsPath struct {
	Path string `json:"path"`
	At   string `json:"at"`            // file:line
	Via  string `json:"via,omitempty"` // of the shipped library
}

func (p depsPath) place() opa.Place { return opa.Place{At: p.At, Via: p.Via} }

func newPolicyDepsCommand() *cobra.Command {
	var flags policyFlags
	var output string
	cmd := &cobra.Command{
		Use:   "deps [path...]",
		Short: "Show what decisions rest on: what is read of the request, and where",
		Long: `Deps shows the shape of each entrypoint: the paths of the input that its
decision can read, with the line of yours that reads them (and that of the
shipped library, if it does so by way of that), and whether decisions are cached,
or which line keeps them from it. Two requests that agree on these paths
share a decision: the fewer there are and the fewer values they have, the more
often the cache answers.

Exit codes: 0 all is well, 2 the policies are not valid.`,
		Example: `  tallygate policy deps policies/
  tallygate policy deps --config tallygate.yaml -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			g, _, err := flags.compile(cmd, args)
			if err != nil {
				return err
			}
			var all []deps
			for _, name := range g.Entrypoints() {
				s, err := g.Shape(name)
				if err != nil {
					return err
				}
				all = append(all, depsOf(name, s))
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(all)
			}
			for _, d := range all {
				d.print(cmd.OutOrStdout())
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func depsOf(name string, s *opa.Shape) deps {
	paths := func(list []mesh.Path) (out []depsPath) {
		for _, p := range list {
			at := s.At(p)
			out = append(out, depsPath{p.String(), at.At, at.Via})
		}
		return out
	}
	d := deps{
		Entrypoint: entrypointName(name), Reads: paths(s.Paths), KindsOf: paths(s.Kinds),
		Cacheable: s.Cacheable, NeedsTTL: s.NeedsTTL, Builtins: s.Builtins(),
	}
	if s.TTL > 0 {
		d.TTL = s.TTL.String()
	}
	for _, r := range s.Reasons {
		d.Reasons = append(d.Reasons, r.String())
	}
	return d
}

func (d *deps) print(w io.Writer) {
	fmt.Fprintf(w, "entrypoint %s\n", d.Entrypoint)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range d.Reads {
		fmt.Fprintf(tw, "  reads\t%s\t%s\n", p.Path, p.place())
	}
	for _, p := range d.KindsOf {
		fmt.Fprintf(tw, "  reads the type of\t%s\t%s\n", p.Path, p.place())
	}
	tw.Flush()
	if len(d.Reads)+len(d.KindsOf) == 0 {
		fmt.Fprintln(w, "  reads nothing of the request")
	}
	switch {
	case !d.Cacheable:
		fmt.Fprintln(w, "  decisions are not cached:")
	case d.NeedsTTL:
		fmt.Fprintln(w, "  decisions are cached only with a TTL that the result states:")
	case d.TTL != "":
		fmt.Fprintf(w, "  decisions are cached, for at most %s as annotated\n", d.TTL)
	default:
		fmt.Fprintln(w, "  decisions are cached")
	}
	for _, r := range d.Reasons {
		fmt.Fprintf(w, "    %s\n", r)
	}
}
