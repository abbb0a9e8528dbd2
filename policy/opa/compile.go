package opa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// generations numbers generations; no number comes twice in a process.
var generations atomic.Uint64

// Compile reads cfg.Paths and makes a generation of what is there. The error
// names each problem by file and line.
func Compile(ctx context.Context, cfg *Config) (*Generation, error) {
	src, err := Read(cfg.Paths)
	if err != nil {
		return nil, err
	}
	return CompileSources(ctx, cfg, src)
}

// CompileSources makes a generation of src, of which it takes possession.
func CompileSources(ctx context.Context, cfg *Config, src *Sources) (*Generation, error) {
	g, err := compileSources(ctx, cfg, src, inlineAliases)
	if err != nil {
		return nil, err
	}
	reached := map[*ast.Rule]bool{}
	for _, e := range g.entries {
		maps.Copy(reached, e.reached)
	}
	if err := g.addConstants(ctx, reached); err != nil {
		return nil, err
	}
	return g, nil
}

// compileSources runs rewrite over the modules once their types are checked.
func compileSources(ctx context.Context, cfg *Config, src *Sources, rewrite ast.CompilerStage) (*Generation, error) {
	caps := cfg.capabilities()
	modules, err := parse(src, caps)
	if err != nil {
		return nil, err
	}
	data, large, err := src.data()
	if err != nil {
		return nil, err
	}
	st := newStore(data, large)
	c := ast.NewCompiler().
		WithCapabilities(caps).
		WithDefaultRegoVersion(ast.RegoV1).
		WithStrict(cfg.Strict).
		WithStageAfterID(ast.StageCheckTypes, ast.CompilerStageDefinition{
			Name: "Rewrite", MetricName: "tallygate_rewrite", Stage: rewrite,
		}).
		WithPathConflictsCheck(func(path []string) (bool, error) { return st.has(path), nil })
	c.Compile(modules)
	if c.Failed() {
		return nil, explain(c.Errors)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("compiling policies: %w", err)
	}
	var wholes []unpacked
	st = st.unpack(func(p *packed) bool {
		ok, at := looksUp(c.Modules, p.path)
		if !ok {
			wholes = append(wholes, unpackedAt(p, at))
		}
		return ok
	}, src.pace)
	g := &Generation{
		ID:       generations.Add(1),
		Revision: src.Revision,
		Files:    src.Files,
		Loaded:   time.Now(),
		compiler: c,
		store:    st,
		unpacked: wholes,
		entries:  map[string]*entry{},
	}
	// One read transaction serves all evaluations: nobody writes to this store.
	if g.txn, err = g.store.NewTransaction(ctx, storage.TransactionParams{}); err != nil {
		return nil, fmt.Errorf("opening the data: %w", err)
	}
	ccfg, err := cache.ParseCachingConfig([]byte(builtinCaches))
	if err != nil {
		return nil, fmt.Errorf("setting up the caches of built-in functions: %w", err)
	}
	g.interQuery = cache.NewInterQueryCache(ccfg)
	g.values = cache.NewInterQueryValueCache(ctx, ccfg)
	g.transport = newTransport(cfg.HTTPSend.Hosts)
	if err := g.addEntries(cfg); err != nil {
		return nil, err
	}
	return g, nil
}

// builtinCaches bounds what built-in functions keep from one evaluation for the
// next: responses of http.send by size; patterns, schemas and verified tokens by
// number. OPA's defaults have no bound, and what is kept may come from requests.
const builtinCaches = `{
	"inter_query_builtin_cache": {"max_size_bytes": 67108864},
	"inter_query_builtin_value_cache": {"max_num_entries": 10000}
}`

func parse(src *Sources, caps *ast.Capabilities) (map[string]*ast.Module, error) {
	if len(src.Modules) == 0 {
		return nil, errors.New("there is no .rego file among the policies")
	}
	opts := ast.ParserOptions{ProcessAnnotation: true, Capabilities: caps, RegoVersion: ast.RegoV1}
	modules := make(map[string]*ast.Module, len(src.Modules))
	var errs ast.Errors
	for name, text := range src.Modules {
		m, err := ast.ParseModuleWithOpts(name, text, opts)
		var more ast.Errors
		switch {
		case errors.As(err, &more):
			errs = append(errs, more...)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case m != nil:
			modules[name] = m
		}
	}
	if len(errs) > 0 {
		return nil, explain(errs)
	}
	if err := addLibrary(modules, opts); err != nil {
		return nil, err
	}
	return modules, nil
}

// explain adds to what OPA says how to mend it, where that is not plain.
func explain(errs ast.Errors) error {
	slices.SortStableFunc(errs, func(a, b *ast.Error) int {
		if a.Location == nil || b.Location == nil {
			return 0
		}
		return a.Location.Compare(b.Location)
	})
	all := make([]error, 0, len(errs))
	for _, e := range errs {
		hint := ""
		for name, how := range permission {
			if strings.Contains(e.Message, "undefined function "+name) {
				hint = fmt.Sprintf(": it is forbidden; to allow it, %s", how)
			}
		}
		if strings.Contains(e.Message, "`if` keyword is required") || strings.Contains(e.Message, "`contains` keyword is required") {
			hint = ": this is Rego v0; `opa fmt --v0-v1 -w` rewrites it"
		}
		loc := "policy"
		if e.Location != nil {
			loc = location(e.Location)
		}
		all = append(all, fmt.Errorf("%s: %s%s", loc, e.Message, hint))
	}
	return errors.Join(all...)
}

// location spells l as file:line.
func location(l *ast.Location) string {
	if l == nil {
		return "?"
	}
	return fmt.Sprintf("%s:%d", l.File, l.Row)
}

// data returns the base document, with an empty object for each that is packed.
func (s *Sources) data() (ast.Object, []*packed, error) {
	data := s.Data
	if data == nil {
		data = ast.NewObject()
	}
	if s.staged == nil {
		return data, s.packed, nil
	}
	all := newStore(data, s.packed).unpack(func(*packed) bool { return false }, s.pace)
	merged, ok := s.staged.Merge(all.data)
	if !ok {
		return nil, nil, errors.New("a bundle and paths both have data at the same place: remove it from one of them")
	}
	return merged, nil, nil
}
