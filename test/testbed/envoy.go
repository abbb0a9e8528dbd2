package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Envoy is a running Envoy.
type Envoy struct {
	*Process
	Admin string // host:port
}

// EnvoyConfig says what to run.
type EnvoyConfig struct {
	Name        string // of the process
	Bootstrap   string // YAML
	Concurrency int    // worker threads; 1 if 0
}

// StartEnvoy starts a real Envoy and waits until it serves. The bootstrap's
// admin address may have port 0.
func (b *Bed) StartEnvoy(ctx context.Context, cfg EnvoyConfig) (*Envoy, error) {
	name := b.unique("envoy-" + cfg.Name + "-config")
	path := filepath.Join(b.Dir, name+".yaml")
	if err := os.WriteFile(path, []byte(cfg.Bootstrap), 0o644); err != nil {
		return nil, err
	}
	adminPath := filepath.Join(b.Dir, name+".admin")
	p, err := b.run(ctx, "envoy-"+cfg.Name, "envoy", "envoy", "--config-path", path, "--admin-address-path", adminPath,
		"--disable-hot-restart", "--concurrency", fmt.Sprint(max(cfg.Concurrency, 1)),
		"--file-flush-interval-msec", "200", "--log-level", "warning", "--drain-time-s", "1", "--parent-shutdown-time-s", "2")
	if err != nil {
		return nil, err
	}
	e := &Envoy{Process: p}
	err = p.until(ctx, "is ready", func(ctx context.Context) error {
		addr, err := os.ReadFile(adminPath)
		if err != nil || len(addr) == 0 {
			return fmt.Errorf("no admin address yet: %w", err)
		}
		e.Admin = strings.TrimSpace(string(addr))
		_, err = httpGet(ctx, "http://"+e.Admin+"/ready")
		return err
	})
	return e, err
}

// ValidateEnvoy lets a real Envoy check a bootstrap without running it.
func (b *Bed) ValidateEnvoy(ctx context.Context, path string) error {
	p, err := b.run(ctx, "envoy-validate", "envoy", "envoy", "--mode", "validate", "--config-path", path, "--log-level", "warning")
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.Exit(); err != nil {
		return fmt.Errorf("envoy refuses %s: %w\n%s", path, err, p.Log(4000))
	}
	return nil
}

// Stats returns the counters and gauges whose names hold filter.
func (e *Envoy) Stats(ctx context.Context, filter string) (map[string]int64, error) {
	body, err := httpGet(ctx, "http://"+e.Admin+"/stats?format=json&filter="+filter)
	if err != nil {
		return nil, err
	}
	var out struct {
		Stats []struct {
			Name  string
			Value json.Number
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("reading Envoy's stats: %w", err)
	}
	stats := make(map[string]int64, len(out.Stats))
	for _, s := range out.Stats {
		if v, err := s.Value.Int64(); err == nil && s.Name != "" {
			stats[s.Name] = v
		}
	}
	return stats, nil
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}

// httpGet returns the body of a 200.
func httpGet(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("GET " + url + ": " + resp.Status + ": " + strings.TrimSpace(string(body[:min(len(body), 500)])))
	}
	return body, nil
}
