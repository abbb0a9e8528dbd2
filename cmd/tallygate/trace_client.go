package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/storage/query"
)

// traceClient asks a query API of Jaeger's kind.
type traceClient struct {
	server                    string
	timeout                   time.Duration
	caFile, certFile, keyFile string

	http *http.Client
}

// check validates the flags.
func (c *traceClient) check() error {
	usage := func(err error) error { return &exitError{exitUsage, err} }
	if !strings.Contains(c.server, "://") {
		c.server = "http://" + c.server
	}
	u, err := url.Parse(c.server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usage(fmt.Errorf("--server %s: want http://host:port or https://host:port", c.server))
	}
	c.server = strings.TrimSuffix(c.server, "/")
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return usage(fmt.Errorf("--ca-file: %w", err))
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return usage(fmt.Errorf("--ca-file %s holds no certificate", c.caFile))
		}
	}
	if (c.certFile == "") != (c.keyFile == "") {
		return usage(errors.New("--cert-file and --key-file go together"))
	}
	if c.certFile != "" {
		cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return usage(fmt.Errorf("--cert-file: %w", err))
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	c.http = &http.Client{Timeout: c.timeout, Transport: &http.Transport{TLSClientConfig: cfg, Proxy: http.ProxyFromEnvironment}}
	return nil
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 256 << 20

func ask[T any](ctx context.Context, c *traceClient, path string, params url.Values) (query.Answer[T], error) {
	var answer query.Answer[T]
	target := c.server + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answer, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer, fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("%s answers %s, not as Jaeger's query API does", c.server, resp.Status)
	}
	if len(answer.Errors) > 0 && resp.StatusCode != http.StatusOK {
		return answer, errors.New(printable(answer.Errors[0].Msg))
	}
	return answer, nil
}

func (c *traceClient) traces(ctx context.Context, path string, params url.Values) ([]query.Trace, error) {
	answer, err := ask[[]query.Trace](ctx, c, path, params)
	return answer.Data, err
}

// find searches one service, or all; the newest trace comes first.
func (c *traceClient) find(ctx context.Context, q *traceQuery, from, to time.Time) ([]query.Trace, error) {
	services := []string{q.service}
	if q.service == "" {
		answer, err := ask[[]string](ctx, c, "/api/services", nil)
		if err != nil {
			return nil, err
		}
		services = answer.Data
	}
	var all []query.Trace
	known := map[string]bool{}
	for _, service := range services {
		params, err := q.values(service, from, to)
		if err != nil {
			return nil, err
		}
		found, err := c.traces(ctx, "/api/traces", params)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			if !known[t.TraceID] {
				known[t.TraceID] = true
				all = append(all, t)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b query.Trace) int {
		_, startA, _ := extent(&a)
		_, startB, _ := extent(&b)
		return cmp.Compare(startB, startA)
	})
	if q.limit > 0 && len(all) > q.limit {
		all = all[:q.limit]
	}
	return all, nil
}

// cutTag splits key=value, or key:value as Jaeger writes it if there is no =.
func cutTag(s string) (key, value string, ok bool) {
	if key, value, ok = strings.Cut(s, "="); ok {
		return key, value, key != ""
	}
	key, value, ok = strings.Cut(s, ":")
	return key, value, ok && key != ""
}
