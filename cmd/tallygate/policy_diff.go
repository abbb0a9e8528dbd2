package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// diffReport is what policy diff found.
type diffReport struct {
	Judged  int          `json:"judged"`
	Skipped int          `json:"skipped"` // records without an input
	Masked  int          `json:"masked"`  // of those judged: something that a policy reads was masked
	Changes []diffChange `json:"changes"`
}

// diffChange is a kind of request that is judged differently.
type diffChange struct {
	Change     string `json:"change"` // allow→deny
	OldRule    string `json:"old_rule"`
	NewRule    string `json:"new_rule"`
	Entrypoint string `json:"entrypoint"`
	Method     string `json:"method,omitempty"`
	Host       string `json:"host,omitempty"`
	Route      string `json:"route,omitempty"`  // the path without query, ids as {}
	Caller     string `json:"caller,omitempty"` // principal
	Count      int    `json:"count"`
	Path       string `json:"path,omitempty"`        // of the first
	ID         string `json:"decision_id,omitempty"` // of the first
}

func newPolicyDiffCommand() *cobra.Command {
	var flags policyFlags
	var before, after []string
	var log, output string
	cmd := &cobra.Command{
		Use:   "diff --old path --new path --log file",
		Short: "Replay recorded requests through two sets of policies and show what changes",
		Long: `Diff judges recorded requests (JSON lines, as tallygate record and
policy.decision_log write them, or plain requests as tallygate policy eval takes
them) by an old and a new set of policies and shows those whose verdict changes, by
rule, route and caller. In a route {} stands for what looks like an id. Records
without an input are passed over; what was masked when they were written is judged
as masked.

Exit codes: 0 nothing changes, 1 the log cannot be read, 2 the policies are not
valid, 3 something changes.`,
		Example: `  tallygate record --for 5m > checks.json
  tallygate policy diff --old policies/ --new candidate/ --log checks.json
  tallygate policy diff --old policies/ --new candidate/ --log - -o json < decisions.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			if len(before) == 0 || len(after) == 0 || log == "" {
				return &exitError{exitUsage, errors.New("--old, --new and --log are needed")}
			}
			a, _, err := flags.compile(cmd, before)
			if err != nil {
				return fmt.Errorf("--old: %w", err)
			}
			b, _, err := flags.compile(cmd, after)
			if err != nil {
				return fmt.Errorf("--new: %w", err)
			}
			in := cmd.InOrStdin()
			if log != "-" {
				f, err := os.Open(log)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			r, err := diff(cmd.Context(), a, b, in)
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				r.print(cmd.OutOrStdout())
			}
			if err == nil && len(r.Changes) > 0 {
				return &exitError{exitMissing, errors.New("")}
			}
			return err
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&before, "old", nil, "`path` of the policies in force; repeats")
	f.StringArrayVar(&after, "new", nil, "`path` of the policies to be; repeats")
	f.StringVar(&log, "log", "", "`file` with the requests; - is standard input")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// maxRecord bounds a line of a log.
const maxRecord = 16 << 20

func diff(ctx context.Context, a, b *opa.Generation, log io.Reader) (*diffReport, error) {
	r := &diffReport{}
	found := map[diffChange]*diffChange{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxRecord)
	for n := 1; lines.Scan(); n++ {
		rec, in, err := parseRecord(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d of the log: %w", n, err)
		}
		if in == nil {
			r.Skipped++
			continue
		}
		name := rec.Entrypoint
		if name == entrypointName("") {
			name = ""
		}
		was, oldRule := replay(ctx, a, name, in)
		is, newRule := replay(ctx, b, name, in)
		r.Judged++
		if readsMasked(a, name, in) || readsMasked(b, name, in) {
			r.Masked++
		}
		if was == is {
			continue
		}
		key := diffChange{
			Change: was + "→" + is, OldRule: oldRule, NewRule: newRule, Entrypoint: rec.Entrypoint,
			Method: textAt(in, "attributes", "request", "http", "method"), Host: textAt(in, "attributes", "request", "http", "host"),
			Route: routeOf(textAt(in, "attributes", "request", "http", "path")), Caller: textAt(in, "attributes", "source", "principal"),
		}
		c := found[key]
		if c == nil {
			c = new(diffChange)
			*c = key
			c.ID, c.Path = rec.ID, textAt(in, "attributes", "request", "http", "path")
			found[key] = c
		}
		c.Count++
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	for _, c := range found {
		r.Changes = append(r.Changes, *c)
	}
	slices.SortFunc(r.Changes, func(x, y diffChange) int {
		return cmp.Or(cmp.Compare(x.Change, y.Change), cmp.Compare(y.Count, x.Count), cmp.Compare(x.Route, y.Route), cmp.Compare(x.Method, y.Method), cmp.Compare(x.Caller, y.Caller), cmp.Compare(x.ID, y.ID))
	})
	return r, nil
}

// parseRecord reads a line: a record of the decision log or of tallygate record, or
// a plain request. The request is nil if the record has none.
func parseRecord(line []byte) (rec policy.Record, in mesh.Request, err error) {
	if err := json.Unmarshal(line, &rec); err != nil {
		return rec, nil, err
	}
	switch {
	case len(rec.Input) > 0:
		in, err = parseRequest(rec.Input)
	case rec.Verdict == "": // no record of ours
		in, err = parseRequest(line)
	}
	return rec, in, err
}

// routeOf is the path without query and with {} for what looks like an id: what
// has a digit or is long.
func routeOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if len(s) > 32 || strings.ContainsAny(s, "0123456789") && !apiVersion.MatchString(s) {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}

// apiVersion is a segment as v1, which names an API.
var apiVersion = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]*)?$`)

// replay returns allow, deny or error, and the rule that decided.
func replay(ctx context.Context, g *opa.Generation, entrypoint string, in mesh.Request) (verdict, rule string) {
	res, err := g.Evaluate(ctx, entrypoint, in)
	switch {
	case err != nil:
		return "error", err.Error()
	case res.Verdict.Allowed:
		return "allow", res.Verdict.Rule
	}
	return "deny", res.Verdict.Rule
}

// readsMasked reports whether a value that decides was masked in in.
func readsMasked(g *opa.Generation, entrypoint string, in mesh.Request) bool {
	s, err := g.Shape(entrypoint)
	if err != nil {
		return false
	}
	for _, p := range s.Paths {
		for n := range p { // what it is below may be masked as a whole
			if v, ok := in.Lookup(p[:n+1]); ok && v.Text == policy.Masked {
				return true
			}
		}
	}
	return false
}

func textAt(in mesh.Request, path ...string) string {
	v, _ := in.Lookup(mesh.Path(path))
	return v.Text
}

func (r *diffReport) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Changes) > 0 {
		fmt.Fprintln(tw, "CHANGE\tREQUESTS\tMETHOD\tHOST\tROUTE\tCALLER\tOLD RULE\tNEW RULE\tFOR EXAMPLE")
	}
	for _, c := range r.Changes {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Change, c.Count, c.Method, c.Host, c.Route, c.Caller, c.OldRule, c.NewRule, c.Path)
	}
	tw.Flush()
	fmt.Fprintf(w, "%d requests judged by both, %d records without an input passed over\n", r.Judged, r.Skipped)
	if r.Masked > 0 {
		fmt.Fprintf(w, "warning: in %d of them something that a policy reads was masked: their verdicts are not those of the live requests\n", r.Masked)
	}
}
