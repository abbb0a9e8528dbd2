package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Judge is one policy.
type Judge struct{ query rego.PreparedEvalQuery }

// New prepares the policy in text and its data.
func New(ctx context.Context, text string, data map[string]any) (*Judge, error) {
	q, err := rego.New(
		rego.Query("data.envoy.authz.allow"),
		rego.Module("policy.rego", text),
		rego.Store(inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing the query: %w", err)
	}
	return &Judge{q}, nil
}

// Allowed judges a CheckRequest in JSON, as protojson writes it.
func (j *Judge) Allowed(ctx context.Context, request []byte) (bool, error) {
	var input map[string]any
	if err := json.Unmarshal(request, &input); err != nil {
		return false, fmt.Errorf("reading the input: %w", err)
	}
	if err := addParsed(input); err != nil {
		return false, err
	}
	v, err := ast.InterfaceToValue(input)
	if err != nil {
		return false, fmt.Errorf("converting the input: %w", err)
	}
	rs, err := j.query.Eval(ctx, rego.EvalParsedInput(v))
	if err != nil {
		return false, fmt.Errorf("evaluating: %w", err)
	}
	return rs.Allowed(), nil
}

// addParsed adds parsed_path and parsed_query.
func addParsed(input map[string]any) error {
	attributes, _ := input["attributes"].(map[string]any)
	request, _ := attributes["request"].(map[string]any)
	http, _ := request["http"].(map[string]any)
	text, _ := http["path"].(string)
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("reading the path: %w", err)
	}
	var path []any
	for s := range strings.SplitSeq(strings.TrimLeft(u.Path, "/"), "/") {
		path = append(path, s)
	}
	query := map[string]any{}
	for k, vs := range u.Query() {
		list := make([]any, len(vs))
		for i, v := range vs {
			list[i] = v
		}
		query[k] = list
	}
	input["parsed_path"], input["parsed_query"] = path, query
	return nil
}
