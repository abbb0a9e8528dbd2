package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// SinkOPA is the sink that hands records to [Options.OPA] instead of writing
// lines.
const SinkOPA = "opa"

// sink is where lines of the decision log go.
type sink struct {
	name string // as configured
	path string // empty for standard output
}

func parseSink(s string) (sink, error) {
	if s == "stdout" || s == SinkOPA {
		return sink{name: s}, nil
	}
	if path, ok := strings.CutPrefix(s, "file:"); ok && path != "" {
		return sink{s, path}, nil
	}
	return sink{}, fmt.Errorf("%q is not stdout, file:<path> or opa", s)
}

// open returns what lines are written to. A file is appended to and, as it may
// hold inputs, readable by its owner only.
func (s sink) open(stdout io.Writer) (io.WriteCloser, error) {
	if s.path == "" {
		return nopCloser{stdout}, nil
	}
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the decision log: %w", err)
	}
	return f, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// openSinks opens all or none.
func openSinks(specs []string, stdout io.Writer) (map[string]io.WriteCloser, error) {
	out := map[string]io.WriteCloser{}
	for _, spec := range specs {
		s, err := parseSink(spec)
		if err != nil {
			return nil, errors.Join(err, closeSinks(out))
		}
		if s.name == SinkOPA {
			continue
		}
		if out[spec], err = s.open(stdout); err != nil {
			delete(out, spec)
			return nil, errors.Join(err, closeSinks(out))
		}
	}
	return out, nil
}

func closeSinks(m map[string]io.WriteCloser) error {
	var errs []error
	for _, w := range m {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}
