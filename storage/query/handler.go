package query

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// Handler answers the API.
type Handler struct {
	cfg    Config
	reader func() storage.Reader
	mux    *http.ServeMux
	m      *metrics
	log    *slog.Logger
	slots  chan struct{}
	now    func() time.Time
}

// Options are what a Handler needs beside its configuration.
type Options struct {
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// New validates cfg. reader is asked once per request, so that a store can take
// another's place; it returns nil while there is none.
func New(cfg Config, reader func() storage.Reader, opts Options) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := &Handler{
		cfg: cfg, reader: reader, mux: http.NewServeMux(), m: newMetrics(opts.Metrics), log: opts.Log,
		slots: make(chan struct{}, cfg.MaxConcurrent), now: time.Now,
	}
	h.route("GET /api/services", services)
	h.route("GET /api/services/{service}/operations", operationNames)
	h.route("GET /api/operations", operations)
	h.route("GET /api/traces", h.traces)
	h.route("GET /api/traces/{id}", h.traceByID)
	h.route("GET /api/dependencies", h.dependencies)
	return h, nil
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// httpError is an error with the status that goes with it.
type httpError struct {
	status int
	error
}

func (e *httpError) Unwrap() error { return e.error }

func badRequest(err error) error { return &httpError{http.StatusBadRequest, err} }

// answerer computes an answer's envelope.
type answerer func(ctx context.Context, from storage.Reader, r *http.Request) (any, error)

func (h *Handler) route(pattern string, f answerer) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		began := h.now()
		status := h.serve(w, r, f)
		h.m.requests.WithLabelValues(pattern[len("GET "):], strconv.Itoa(status)).Inc()
		h.m.duration.Observe(h.now().Sub(began).Seconds())
	})
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, f answerer) int {
	var answer any
	err := h.read(r.Context(), func(ctx context.Context, from storage.Reader) (err error) {
		answer, err = f(ctx, from, r)
		return err
	})
	if err != nil {
		return h.fail(w, err)
	}
	var body []byte
	if p := r.FormValue("prettyPrint"); p != "" && p != "false" {
		body, err = json.MarshalIndent(answer, "", "    ")
	} else {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		return h.fail(w, err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // who asked has gone if this fails
	return http.StatusOK
}

// read lets f read the store, when it is its turn.
func (h *Handler) read(ctx context.Context, f func(context.Context, storage.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return &httpError{http.StatusServiceUnavailable, errors.New("too many requests at once")}
	}
	reader := h.reader()
	if reader == nil {
		return &httpError{http.StatusServiceUnavailable, errStoreClosed}
	}
	return f(ctx, reader)
}

var errStoreClosed = errors.New("the store is not open")

// Trace returns a trace as the API answers it, to others in this process. There is
// none while the store is not open.
func (h *Handler) Trace(ctx context.Context, id string) (t Trace, err error) {
	parsed, err := jaegermodel.ParseTraceID(id)
	if err != nil {
		return t, fmt.Errorf("%w: %w", storage.ErrNotFound, err)
	}
	err = h.read(ctx, func(ctx context.Context, from storage.Reader) error {
		found, err := from.Trace(ctx, parsed)
		if err == nil {
			t = h.render(found, false)
		}
		return err
	})
	if errors.Is(err, errStoreClosed) {
		err = storage.ErrNotFound
	}
	return t, err
}

// fail answers in Jaeger's form of an error.
func (h *Handler) fail(w http.ResponseWriter, err error) int {
	status := http.StatusInternalServerError
	if e, ok := errors.AsType[*httpError](err); ok {
		status = e.status
	} else if errors.Is(err, storage.ErrNotFound) {
		status = http.StatusNotFound
	} else {
		h.log.Debug("Reading spans", "err", err)
	}
	body, _ := json.Marshal(Answer[any]{Errors: []Error{{Code: status, Msg: err.Error()}}})
	http.Error(w, string(body), status)
	return status
}

func services(ctx context.Context, from storage.Reader, _ *http.Request) (any, error) {
	names, err := from.Services(ctx)
	return Answer[[]string]{Data: names, Total: len(names)}, err
}

func operationNames(ctx context.Context, from storage.Reader, r *http.Request) (any, error) {
	ops, err := from.Operations(ctx, r.PathValue("service"), "")
	names := make([]string, 0, len(ops))
	for _, op := range ops {
		names = append(names, op.Name)
	}
	names = slices.Compact(names)
	return Answer[[]string]{Data: names, Total: len(names)}, err
}

func operations(ctx context.Context, from storage.Reader, r *http.Request) (any, error) {
	service := r.FormValue("service")
	if service == "" {
		return nil, badRequest(errServiceRequired)
	}
	ops, err := from.Operations(ctx, service, r.FormValue("spanKind"))
	data := make([]Operation, len(ops))
	for i, op := range ops {
		data[i] = Operation(op)
	}
	return Answer[[]Operation]{Data: data, Total: len(data)}, err
}

func (h *Handler) traces(ctx context.Context, from storage.Reader, r *http.Request) (any, error) {
	s, err := parseSearch(r, h.now())
	if err != nil {
		return nil, badRequest(err)
	}
	if len(s.ids) > 0 {
		return h.byIDs(ctx, from, s.ids, s.raw)
	}
	s.Limit = min(s.Limit, h.cfg.MaxTraces)
	if err := s.Validate(); err != nil {
		return nil, err
	}
	found, err := from.FindTraces(ctx, s.Query)
	if err != nil {
		return nil, err
	}
	answer := Answer[[]Trace]{Data: make([]Trace, len(found))}
	for i, t := range found {
		answer.Data[i] = h.render(t, s.raw)
	}
	return answer, nil
}

func (h *Handler) render(t *jaegermodel.Trace, raw bool) Trace {
	if !raw {
		t = adjust(t, h.cfg.MaxClockSkewAdjust)
	}
	return traceOf(t)
}

// byIDs answers with those traces that are there, and an error for each that is
// not.
func (h *Handler) byIDs(ctx context.Context, from storage.Reader, ids []jaegermodel.TraceID, raw bool) (any, error) {
	answer := Answer[[]Trace]{Data: []Trace{}}
	for _, id := range ids[:min(len(ids), h.cfg.MaxTraces)] {
		t, err := from.Trace(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			answer.Errors = append(answer.Errors, Error{Msg: err.Error(), TraceID: id.String()})
			continue
		}
		if err != nil {
			return nil, err
		}
		answer.Data = append(answer.Data, h.render(t, raw))
	}
	return answer, nil
}

func (h *Handler) traceByID(ctx context.Context, from storage.Reader, r *http.Request) (any, error) {
	ids, err := parseIDs(r.PathValue("id"))
	if err != nil {
		return nil, badRequest(err)
	}
	for _, name := range []string{"start", "end"} {
		if _, err := parseTime(r, name, time.Microsecond, time.Time{}); err != nil {
			return nil, badRequest(err)
		}
	}
	raw, err := parseBool(r, "raw")
	if err != nil {
		return nil, badRequest(err)
	}
	if len(ids) > 1 {
		return h.byIDs(ctx, from, ids, raw)
	}
	t, err := from.Trace(ctx, ids[0])
	if err != nil {
		return nil, err
	}
	return Answer[[]Trace]{Data: []Trace{h.render(t, raw)}}, nil
}

func (h *Handler) dependencies(ctx context.Context, from storage.Reader, r *http.Request) (any, error) {
	begin, end, err := parseDependencies(r, h.now())
	if err != nil {
		return nil, badRequest(err)
	}
	list, err := from.Dependencies(ctx, begin, end)
	if err != nil {
		return nil, err
	}
	data := []Dependency{}
	service := r.FormValue("service")
	for _, d := range list {
		if service == "" || d.Parent == service || d.Child == service {
			data = append(data, Dependency(d))
		}
	}
	slices.SortFunc(data, func(a, b Dependency) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child))
	})
	return Answer[[]Dependency]{Data: data}, nil
}
