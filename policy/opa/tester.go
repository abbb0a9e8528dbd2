package opa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestReport is what the tests of policies came to.
type TestReport struct {
	Tests []TestResult `json:"tests"`
	// Coverage is the share of lines that the tests reach, in percent.
	Coverage float64 `json:"coverage"`
	// Uncovered are the lines they do not, as file:line or file:first-last.
	Uncovered []string `json:"uncovered,omitempty"`
}

// TestResult is one rule whose name begins with test_.
type TestResult struct {
	Name    string        `json:"name"` // package and rule
	At      string        `json:"at"`   // file:line
	Passed  bool          `json:"passed"`
	Skipped bool          `json:"skipped,omitempty"`
	Err     string        `json:"error,omitempty"` // why it could not be evaluated
	Took    time.Duration `json:"took_ns"`
	Output  string        `json:"output,omitempty"` // of print
	// Bench is what one run takes, with TestOptions.Bench.
	Bench *BenchResult `json:"bench,omitempty"`
}

// BenchResult is what a test takes, on average.
type BenchResult struct {
	Runs   int   `json:"runs"`
	Nanos  int64 `json:"ns_per_run"`
	Bytes  int64 `json:"bytes_per_run"`
	Allocs int64 `json:"allocs_per_run"`
}

// TestOptions say which tests to run, and how.
type TestOptions struct {
	Run   string // a regular expression on names; empty for all
	Bench bool   // run each again and again, for a second; no coverage then
}

// Test runs the tests in cfg.Paths, those in *_test.rego too. The built-ins that
// are forbidden when policies are served are forbidden here.
func Test(ctx context.Context, cfg *Config, opts TestOptions) (*TestReport, error) {
	src, err := Read(cfg.Paths)
	if err != nil {
		return nil, err
	}
	if err := src.addTests(cfg.Paths); err != nil {
		return nil, err
	}
	caps := cfg.capabilities()
	modules, err := parse(src, caps)
	if err != nil {
		return nil, err
	}
	data, large, err := src.data()
	if err != nil {
		return nil, err
	}
	store := newStore(data, large)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, fmt.Errorf("opening the data: %w", err)
	}
	defer store.Abort(ctx, txn)
	covered := cover.New()
	c := ast.NewCompiler().WithCapabilities(caps).WithDefaultRegoVersion(ast.RegoV1).WithStrict(cfg.Strict).WithEnablePrintStatements(true)
	runner := tester.NewRunner().SetCompiler(c).SetStore(store).SetModules(modules).Filter(opts.Run)
	var results chan *tester.Result
	if opts.Bench {
		results, err = runner.RunBenchmarks(ctx, txn, tester.BenchmarkOptions{ReportAllocations: true})
	} else {
		results, err = runner.SetCoverageQueryTracer(covered).CapturePrintOutput(true).RunTests(ctx, txn)
	}
	if err != nil {
		if errs := (ast.Errors{}); errors.As(err, &errs) {
			return nil, explain(errs)
		}
		return nil, fmt.Errorf("running the tests: %w", err)
	}
	r := &TestReport{}
	for t := range results {
		one := TestResult{
			Name: strings.TrimPrefix(t.Package, "data.") + "." + t.Name, Passed: t.Pass(), Skipped: t.Skip,
			Took: t.Duration, Output: string(t.Output),
		}
		if b := t.BenchmarkResult; b != nil {
			one.Bench = &BenchResult{Runs: b.N, Nanos: b.NsPerOp(), Bytes: b.AllocedBytesPerOp(), Allocs: b.AllocsPerOp()}
		}
		if t.Location != nil {
			one.At = location(t.Location)
		}
		if t.Error != nil {
			one.Err = t.Error.Error()
			if strings.HasPrefix(one.Err, libraryFile("")+":") && strings.Contains(one.Err, topdown.ConflictErr) {
				one.Err = "tallygate.request was given a key that it does not know, or two values for one"
			}
		}
		r.Tests = append(r.Tests, one)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("running the tests: %w", err)
	}
	if !opts.Bench {
		r.addCoverage(covered.Report(modules))
	}
	return r, nil
}

func (r *TestReport) addCoverage(c cover.Report) {
	covered, all := 0, 0
	for name, f := range c.Files {
		if isTest(name) || isLibraryFile(name) {
			continue
		}
		covered += f.CoveredLines
		all += f.CoveredLines + f.NotCoveredLines
		for _, lines := range f.NotCovered {
			at := fmt.Sprintf("%s:%d", name, lines.Start.Row)
			if lines.End.Row != lines.Start.Row {
				at += fmt.Sprintf("-%d", lines.End.Row)
			}
			r.Uncovered = append(r.Uncovered, at)
		}
	}
	slices.Sort(r.Uncovered)
	if all > 0 {
		r.Coverage = 100 * float64(covered) / float64(all)
	}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

// addTests reads the files that Read passes over.
func (s *Sources) addTests(paths []string) error {
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name != p && strings.HasPrefix(d.Name(), ".") {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || !isTest(name) {
				return nil
			}
			b, err := os.ReadFile(name)
			if err == nil {
				s.Modules[name] = string(b)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("reading tests: %w", err)
		}
	}
	return nil
}
