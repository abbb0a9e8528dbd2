package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
)

// evaluation is what policy eval prints.
type evaluation struct {
	Allowed    bool          `json:"allowed"`
	Status     int           `json:"http_status,omitempty"`
	Rule       string        `json:"rule"`
	Reason     string        `json:"reason,omitempty"`
	Body       string        `json:"body,omitempty"`
	Headers    []mesh.Header `json:"headers,omitempty"`
	Remove     []string      `json:"request_headers_to_remove,omitempty"`
	Response   []mesh.Header `json:"response_headers_to_add,omitempty"`
	Metadata   any           `json:"dynamic_metadata,omitempty"`
	Quotas     []quotaShown  `json:"quotas,omitempty"`
	Revision   string        `json:"revision"`
	Evaluation string        `json:"evaluation"`
	KeyBytes   int           `json:"key_bytes"`
	Key        string        `json:"key"` // hexadecimal
	KeptFor    string        `json:"kept_for,omitempty"`
	NotKept    string        `json:"not_kept,omitempty"`
	Shape      deps          `json:"shape"`
}

func newPolicyEvalCommand() *cobra.Command {
	var flags policyFlags
	var req requestFlags
	var input, name, output string
	var show bool
	cmd := &cobra.Command{
		Use:   "eval [path...]",
		Short: "Judge one request and show why",
		Long: `Eval judges one request, given by flags, as a plain request in JSON, {"method":
"GET", "path": "/orders/7", "headers": {"x-user": "alice"}}, or as JSON of the input
contract, and shows the decision, the rule that decided, what it rests on, the key under which
the cache would keep it and for how long, and how long the evaluation took.

Exit codes: 0 allowed, 1 it could not be judged, 2 the command line or the
policies are not valid, 3 denied.`,
		Example: `  tallygate policy eval policies/ --path /orders/7 --header x-user=alice
  tallygate policy eval policies/ --principal spiffe://mesh/ns/web/sa/front -o json
  tallygate policy eval policies/ --input request.json
  tallygate policy eval policies/ --path '/orders/7?full=1' -H x-user=alice --show-input`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return &exitError{exitUsage, fmt.Errorf("-o %s: want text or json", output)}
			}
			g, cfg, err := flags.compile(cmd, args)
			if err != nil {
				return err
			}
			r, err := requestOrInput(cmd, &req, input)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if show {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(policy.Keep(r))
			}
			shape, err := g.Shape(name)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			e, err := policy.Explain(cmd.Context(), rules{g}, name, r, cfg)
			if err != nil {
				return err
			}
			out := evaluationOf(e, depsOf(name, shape))
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(out)
			} else {
				out.print(cmd.OutOrStdout())
			}
			if err == nil && !out.Allowed {
				return &exitError{exitMissing, errors.New("")}
			}
			return err
		},
	}
	flags.add(cmd)
	req.add(cmd)
	f := cmd.Flags()
	f.StringVar(&input, "input", "", "`file` with a plain request or the input as JSON instead of flags; - is standard input")
	f.BoolVar(&show, "show-input", false, "print the input that policies would see, and evaluate nothing")
	f.StringVarP(&name, "name", "n", "", "`name` of the entrypoint; empty for the default one")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func requestOrInput(cmd *cobra.Command, req *requestFlags, input string) (mesh.Request, error) {
	if input == "" {
		return req.lens(time.Now())
	}
	var b []byte
	var err error
	if input == "-" {
		b, err = io.ReadAll(cmd.InOrStdin())
	} else {
		b, err = os.ReadFile(input)
	}
	if err != nil {
		return nil, err
	}
	return parseRequest(b)
}

func evaluationOf(e *policy.Explanation, shape deps) evaluation {
	v := e.Verdict
	out := evaluation{
		Allowed: v.Allowed, Status: v.Status, Rule: v.Rule, Reason: v.Reason, Body: v.Body, Headers: v.Headers,
		Remove: v.HeadersToRemove, Response: v.ResponseHeaders, Revision: v.GenerationVersion,
		Evaluation: e.Took.String(), KeyBytes: len(e.Key), Key: hex.EncodeToString(e.Key), NotKept: e.NotKept, Shape: shape,
	}
	if len(v.Metadata) > 0 {
		out.Metadata = v.Metadata
	}
	for i := range v.Quotas {
		out.Quotas = append(out.Quotas, showQuota(&v.Quotas[i]))
	}
	if e.KeptFor > 0 {
		out.KeptFor = e.KeptFor.Round(time.Millisecond).String()
	}
	return out
}

func (e *evaluation) print(w io.Writer) {
	verdict := "DENIED"
	if e.Allowed {
		verdict = "ALLOWED"
	}
	fmt.Fprintf(w, "%s by %s\n", verdict, e.Rule)
	line := func(name string, v any) { fmt.Fprintf(w, "  %-12s %v\n", name, v) }
	if e.Reason != "" {
		line("reason", e.Reason)
	}
	if e.Status != 0 {
		line("status", e.Status)
	}
	if e.Body != "" {
		line("body", e.Body)
	}
	for _, h := range e.Headers {
		line("header", h.Name+": "+h.Value)
	}
	for _, h := range e.Remove {
		line("remove", h)
	}
	for _, h := range e.Response {
		line("response", h.Name+": "+h.Value)
	}
	if e.Metadata != nil {
		b, _ := json.Marshal(e.Metadata)
		line("metadata", string(b))
	}
	for _, q := range e.Quotas {
		line("quota", q)
	}
	line("revision", e.Revision)
	line("evaluation", e.Evaluation)
	if e.NotKept != "" {
		line("cache", "not kept: "+e.NotKept)
	} else {
		line("cache", fmt.Sprintf("kept for %s, key of %d bytes", e.KeptFor, e.KeyBytes))
	}
	e.Shape.print(w)
}
