package envoysim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ReadCounter returns the sum of all series of the metric that url exposes in
// Prometheus' text format. A metric that is not there is 0.
func ReadCounter(ctx context.Context, url, metric string) (float64, error) {
	sum := 0.0
	err := readSeries(ctx, url, func(name, _ string, v float64) {
		if name == metric {
			sum += v
		}
	})
	return sum, err
}

// WaitCounter polls until the sum of all series of the metric has reached want,
// and returns it. ctx bounds the wait.
func WaitCounter(ctx context.Context, url, metric string, want float64) (float64, error) {
	return WaitCounterEvery(ctx, 10*time.Millisecond, url, metric, want)
}

// WaitCounterEvery is WaitCounter that polls as often as every says: being asked
// costs the server time, too.
func WaitCounterEvery(ctx context.Context, every time.Duration, url, metric string, want float64) (float64, error) {
	for {
		got, err := ReadCounter(ctx, url, metric)
		if err != nil {
			return got, fmt.Errorf("waiting for %s to reach %.0f: %w", metric, want, err)
		}
		if got >= want {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("waiting for %s to reach %.0f, now %.0f: %w", metric, want, got, ctx.Err())
		case <-time.After(every):
		}
	}
}

// readSeries calls f for each sample of url in the text format.
func readSeries(ctx context.Context, url string, f func(name, labels string, v float64)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("reading %s: HTTP %s", url, resp.Status)
	}
	r := bufio.NewReaderSize(resp.Body, 1<<16)
	for {
		line, err := r.ReadString('\n')
		if name, labels, v, ok := parseSample(line); ok {
			f(name, labels, v)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", url, err)
		}
	}
}

// parseSample splits a line of the text format; comments are not samples.
func parseSample(line string) (name, labels string, v float64, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", 0, false
	}
	rest := line
	if i := strings.IndexByte(line, '{'); i >= 0 {
		j := strings.LastIndexByte(line, '}')
		if j < i {
			return "", "", 0, false
		}
		name, labels, rest = line[:i], line[i+1:j], line[j+1:]
	} else if i := strings.IndexByte(line, ' '); i >= 0 {
		name, rest = line[:i], line[i:]
	}
	fields := strings.Fields(rest)
	if name == "" || len(fields) == 0 {
		return "", "", 0, false
	}
	v, err := strconv.ParseFloat(fields[0], 64)
	return name, labels, v, err == nil
}
