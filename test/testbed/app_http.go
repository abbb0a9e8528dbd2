package testbed

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hop is where an application finds the next one: its own sidecar's outbound
// listeners. It is empty for the last application of a chain.
type hop struct {
	http, tcp string // host:port
	host      string // authority of the next service
}

// httpApp answers by path:
//
//	/status/<code>   that code and a short body
//	/flaky/<code>    the same; its route retries
//	/bytes/<n>       200 with n bytes
//	/slow/<ms>       200 after a while; its route has a short timeout
//	/hang/<ms>       200 after a while; its route has no timeout
//	/redirect        302
//	/next/…          what the next service answers to /…
//	/legacy/…        what the service without a sidecar answers to /…
//
// A request body is read to its end first.
type httpApp struct {
	next   hop
	client *http.Client
	fault  *faulty
}

func (a *httpApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if a.fault.spoils(w, r) {
		return
	}
	verb, arg, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "status", "flaky":
		w.WriteHeader(n)
		if n != http.StatusNoContent && n != http.StatusNotModified {
			fmt.Fprintf(w, "%d\n", n)
		}
	case "bytes":
		w.Header().Set("content-length", strconv.Itoa(n))
		_, _ = io.Copy(w, io.LimitReader(zeros{}, int64(n)))
	case "slow", "hang":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(n) * time.Millisecond):
			fmt.Fprintln(w, "late")
		}
	case "redirect":
		http.Redirect(w, r, "/status/200", http.StatusFound)
	case "next":
		a.forward(w, r, a.next.host, "/"+arg)
	case "legacy":
		a.forward(w, r, HostLegacy, "/"+arg)
	default:
		http.NotFound(w, r)
	}
}

// forward passes the headers on that join the hops of a trace, as applications
// of a mesh must.
func (a *httpApp) forward(w http.ResponseWriter, r *http.Request, host, path string) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+a.next.http+path, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Host = host
	for _, h := range slices.Concat(traceHeaders, []string{"x-tenant"}) {
		if v := r.Header.Get(h); v != "" {
			req.Header.Set(h, v)
		}
	}
	resp, err := a.client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if loc := resp.Header.Get("location"); loc != "" {
		w.Header().Set("location", loc)
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// serveHTTP starts an application on a port of 127.0.0.1.
func (b *Bed) serveHTTP(next hop, fault *faulty) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	srv := &http.Server{
		Handler: &httpApp{next: next, fault: fault, client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}},
		ReadHeaderTimeout: 10 * time.Second,
	}
	go srv.Serve(l)
	b.onClose(func() error {
		defer transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			return srv.Close()
		}
		return nil
	})
	return l.Addr().String(), nil
}
