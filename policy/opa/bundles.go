package opa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/plugins"
	pluginbundle "github.com/open-policy-agent/opa/v1/plugins/bundle"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// bundles runs OPA's plugin manager. Its store is only where bundles are put
// together: what is there after each activation is copied out and compiled into
// a generation of its own.
type bundles struct {
	manager *plugins.Manager
	change  chan struct{}

	mu  sync.Mutex
	src *Sources // copied after the latest activation; nil before the first
	err error    // why a download or an activation after that failed
}

func newBundles(cfg Config, log *slog.Logger) (*bundles, error) {
	raw, err := os.ReadFile(cfg.OPAConfig)
	if err != nil {
		return nil, err
	}
	b := &bundles{change: make(chan struct{}, 1)}
	b.manager, err = plugins.New(raw, "tallygate", inmem.NewWithOpts(inmem.OptRoundTripOnWrite(false)),
		plugins.WithParserOptions(ast.ParserOptions{RegoVersion: ast.RegoV1}),
		plugins.Logger(newLogger(log)),
		plugins.ConsoleLogger(newLogger(log)),
		plugins.WithEnableVersionCheck(false))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.OPAConfig, err)
	}
	disco, err := discovery.New(b.manager)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.OPAConfig, err)
	}
	b.manager.Register(discovery.Name, disco)
	b.manager.RegisterCompilerTrigger(b.copyOut)
	return b, nil
}

// start runs the plugins until stop is called.
func (b *bundles) start(ctx context.Context) (stop func(), err error) {
	if err := b.manager.Init(ctx); err != nil {
		return nil, err
	}
	if p := pluginbundle.Lookup(b.manager); p != nil {
		p.Register("tallygate", b.status)
	}
	if err := b.manager.Start(ctx); err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		b.manager.Stop(ctx)
	}, nil
}

// waiting reports whether a bundle is to come.
func (b *bundles) waiting() bool {
	if b == nil {
		return false
	}
	src, _ := b.latest()
	return src == nil
}

func (b *bundles) changed() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.change
}

// latest returns what was activated last, nil if nothing was, and what has failed
// since.
func (b *bundles) latest() (*Sources, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.src, b.err
}

// put notes an activation if src is not nil, else only err.
func (b *bundles) put(src *Sources, err error) {
	b.mu.Lock()
	if src != nil {
		b.src = src
	}
	b.err = err
	b.mu.Unlock()
	select {
	case b.change <- struct{}{}:
	default: // the one to come sees this as well
	}
}

// status hears of downloads and activations. What fails never reaches the store.
func (b *bundles) status(s pluginbundle.Status) {
	if s.Code != "" {
		b.put(nil, errors.Join(append([]error{fmt.Errorf("bundle %s: %s", s.Name, s.Message)}, s.Errors...)...))
		return
	}
	if _, err := b.latest(); err != nil {
		b.put(nil, nil) // it works again, with nothing new
	}
}

// copyOut runs within each commit that changed policies.
func (b *bundles) copyOut(txn storage.Transaction) {
	src, err := b.snapshot(context.Background(), txn)
	switch {
	case err != nil:
		b.put(nil, fmt.Errorf("reading activated bundles: %w", err))
	case src != nil:
		b.put(src, nil)
	}
}

// snapshot returns nil if a configured bundle is not there yet.
func (b *bundles) snapshot(ctx context.Context, txn storage.Transaction) (*Sources, error) {
	store := b.manager.Store
	active, err := bundle.ReadBundleNamesFromStore(ctx, store, txn)
	if err != nil && !storage.IsNotFound(err) {
		return nil, err
	}
	if p := pluginbundle.Lookup(b.manager); p != nil {
		for name := range p.Config().Bundles {
			if !slices.Contains(active, name) {
				return nil, nil
			}
		}
	}
	src := &Sources{Modules: map[string]string{}}
	revisions := map[string]string{}
	for _, name := range active {
		rev, err := bundle.ReadBundleRevisionFromStore(ctx, store, txn, name)
		if err != nil && !storage.IsNotFound(err) {
			return nil, err
		}
		revisions[name] = rev
	}
	var revs []string
	for _, name := range slices.Sorted(maps.Keys(revisions)) {
		revs = append(revs, revisions[name])
	}
	src.Revision = strings.Join(revs, "+")
	ids, err := store.ListPolicies(ctx, txn)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		text, err := store.GetPolicy(ctx, txn, id)
		if err != nil {
			return nil, err
		}
		src.Modules[id] = string(text)
	}
	doc, err := store.Read(ctx, txn, storage.RootPath)
	if err != nil {
		return nil, err
	}
	// The copy is needed: later activations change the document in place.
	top, _ := doc.(map[string]any)
	obj := ast.NewObject()
	for k, v := range top {
		if k == "system" {
			continue // the plugins' own books
		}
		value, err := ast.InterfaceToValue(v)
		if err != nil {
			return nil, err
		}
		obj.Insert(ast.StringTerm(k), ast.NewTerm(value))
	}
	src.staged = obj
	return src, nil
}
