//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

//go:embed testdata/istio_queries.txt
var istioQueries string

type boardQuery struct{ board, panel, expr string }

func readBoardQueries(t *testing.T) (queries []boardQuery) {
	t.Helper()
	for line := range strings.Lines(istioQueries) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 {
			t.Fatalf("testdata/istio_queries.txt: %q has %d fields", line, len(f))
		}
		queries = append(queries, boardQuery{f[0], f[1], f[2]})
	}
	return queries
}

// boardVariables are the choices of a user at the top of the boards: what
// Grafana would put for "All" is .* here.
var boardVariables = strings.NewReplacer(
	"$__rate_interval", "10s",
	"$namespace", testbed.Namespace,
	"$workload", "frontend-v1",
	"$service", testbed.HostFrontend,
	"$qrep", "source|destination",
	"$dstcluster", ".*", "$dstsvc", ".*", "$dstns", ".*", "$dstwl", ".*",
	"$srccluster", ".*", "$srcns", ".*", "$srcwl", ".*",
)

// mayBeEmpty says why a query has nothing to show, with Istio's own metrics as
// with ours.
func mayBeEmpty(q boardQuery) (reason string) {
	switch {
	case strings.Contains(q.expr, `reporter="source"`) && strings.Contains(q.expr, `connection_security_policy="mutual_tls"`):
		return "the source side does not know the security of the connection: it reports unknown, never mutual_tls"
	}
	return ""
}

// Every query of Istio's own boards shows something on our traffic, but for
// those that have a reason not to.
func testBoards(t *testing.T, w *world) {
	queries := readBoardQueries(t)
	if len(queries) != 171 {
		t.Fatalf("%d queries; want 171", len(queries))
	}
	w.steady(t, 60, func() {
		empty := map[int]error{}
		for i := range queries {
			empty[i] = errors.New("not asked")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		_ = testbed.Poll(ctx, 2*time.Second, func(ctx context.Context) error {
			unexcused := 0
			for i := range empty {
				err := w.hasValue(ctx, boardVariables.Replace(queries[i].expr))
				if err == nil {
					delete(empty, i)
					continue
				}
				empty[i] = err
				if mayBeEmpty(queries[i]) == "" {
					unexcused++
				}
			}
			if unexcused > 0 {
				return fmt.Errorf("%d queries are empty", unexcused)
			}
			return nil
		})
		excused := 0
		for i, q := range queries {
			reason := mayBeEmpty(q)
			switch err := empty[i]; {
			case err == nil && reason != "":
				t.Errorf("%s: %s has a value although %s", q.board, q.panel, reason)
			case err != nil && reason == "":
				t.Errorf("%s: %s: %v\n%s", q.board, q.panel, err, boardVariables.Replace(q.expr))
			case err != nil:
				excused++
			}
		}
		t.Logf("%d of %d queries have values; %d are empty for a reason", len(queries)-len(empty), len(queries), excused)
	})
	w.wantRequests(t)
}

// hasValue fails if the query has no result that is a number.
func (w *world) hasValue(ctx context.Context, expr string) error {
	series, err := w.prometheus.Query(ctx, expr)
	if err != nil {
		return err
	}
	for _, s := range series {
		if !math.IsNaN(s.Value()) {
			return nil
		}
	}
	return fmt.Errorf("%d series, none with a value", len(series))
}
