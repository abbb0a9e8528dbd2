package prometheus

import (
	"context"
	"fmt"
	"github.com/klauspost/compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/tallygate/tallygate/red"
)

// Handler serves /metrics.
type Handler struct {
	cfg     Config
	table   *red.Table
	books   prometheus.Gatherers
	metrics *metrics

	// formats are what is offered, by preference among those that a client
	// accepts alike.
	formats []expfmt.Format

	slots chan struct{} // one per scrape at a time
	turns func() (give func())
	text  *cache
	proto *cache

	mu    sync.Mutex
	spare *scrape // the memory of the last scrape
	final final
}

// New returns a Handler that serves the families of t and the books that a
// Gatherer has.
func New(cfg Config, t *red.Table, books prometheus.Gatherer) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	oldOpenMetrics, err := expfmt.NewOpenMetricsFormat(expfmt.OpenMetricsVersion_0_0_1)
	if err != nil {
		return nil, fmt.Errorf("making the formats: %w", err)
	}
	reg := prometheus.NewRegistry()
	return &Handler{
		cfg:     cfg,
		table:   t,
		books:   prometheus.Gatherers{books, reg},
		metrics: newMetrics(reg),
		formats: []expfmt.Format{
			expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeOpenMetrics), oldOpenMetrics, expfmt.NewFormat(expfmt.TypeTextPlain),
		},
		slots: make(chan struct{}, cfg.MaxConcurrentScrapes),
		text:  newCache(textLabels),
		proto: newCache(protoLabels),
		final: final{scrapers: make(map[string]*scraper)},
	}, nil
}

// scrape is the memory of a scrape, reused by the next one.
type scrape struct {
	snapshot red.Snapshot
	sets     [][][]byte
	writer   *writer
	proto    proto
	gzip     *gzip.Writer
}

// ServeHTTP answers a scrape.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.metrics.scrapes.WithLabelValues("refused").Inc()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
		return
	}
	began := time.Now()
	who := scraperOf(r)
	number := h.final.begin(who, began)
	s := h.take()
	defer h.put(s)

	mine := h.turn(w, r)
	defer mine.end()
	// The order is what makes the books balance: the snapshot first.
	h.table.Snapshot(&s.snapshot)
	books, err := h.books.Gather()
	if err != nil {
		h.metrics.scrapes.WithLabelValues("failed").Inc()
		http.Error(w, fmt.Sprintf("gathering the books: %v", err), http.StatusInternalServerError)
		return
	}

	format := expfmt.NegotiateAccept(r.Header, h.formats...)
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept, Accept-Encoding")
	zip := acceptsGzip(r.Header)
	if zip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if r.Method == http.MethodHead {
		return
	}
	// Not every ResponseWriter has deadlines; then the context's end is the only
	// one.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(began.Add(h.cfg.ScrapeTimeout))

	var to io.Writer = mine
	if zip {
		s.gzip.Reset(mine)
		to = s.gzip
	}
	err = h.write(s, to, r.Context(), format, books)
	if err == nil && zip {
		err = s.gzip.Close()
	}
	mine.end()
	if err == nil {
		err = control.Flush()
	}
	if err != nil {
		h.metrics.scrapes.WithLabelValues("failed").Inc()
		// A truncated exposition would parse; a cut connection does not.
		panic(http.ErrAbortHandler)
	}
	_ = control.SetWriteDeadline(time.Time{})
	h.metrics.scrapes.WithLabelValues("ok").Inc()
	h.metrics.duration.Observe(time.Since(began).Seconds())
	h.final.finish(who, number)
}

// write writes the families, the table's figures and the books.
func (h *Handler) write(s *scrape, to io.Writer, ctx context.Context, format expfmt.Format, books []*dto.MetricFamily) error {
	s.writer.reset(to, ctx.Err)
	family := (&text{w: s.writer}).family
	openMetrics := format.FormatType() == expfmt.TypeOpenMetrics
	cached := h.text
	if format.FormatType() == expfmt.TypeProtoDelim {
		s.proto.w, s.proto.exemplars = s.writer, h.cfg.Exemplars
		family = s.proto.family
		cached = h.proto
	} else if openMetrics {
		family = (&text{w: s.writer, openMetrics: true, exemplars: h.cfg.Exemplars, created: h.cfg.CreatedSeries}).family
	}
	s.sets = cached.of(s.sets, s.snapshot.Views)
	for i := range s.snapshot.Views {
		v := &s.snapshot.Views[i]
		for j := range v.Families {
			if err := family(v, &v.Families[j], s.sets[i]); err != nil {
				return fmt.Errorf("writing %s: %w", v.Families[j].Name, err)
			}
		}
	}
	encoder := expfmt.NewEncoder(s.writer, format)
	for _, f := range append(h.ownFamilies(&s.snapshot.Stats), books...) {
		if err := encoder.Encode(f); err != nil {
			return fmt.Errorf("writing %s: %w", f.GetName(), err)
		}
	}
	if openMetrics {
		s.writer.wrote(append(s.writer.room(16), "# EOF\n"...))
	}
	s.writer.flush()
	return s.writer.err
}

// take returns memory for a scrape. One piece is kept between scrapes: a
// sync.Pool would drop it, as scrapes are rarer than garbage collections.
func (h *Handler) take() *scrape {
	h.mu.Lock()
	s := h.spare
	h.spare = nil
	h.mu.Unlock()
	if s == nil {
		s = &scrape{writer: newWriter(), gzip: newGzip()}
	}
	return s
}

func (h *Handler) put(s *scrape) {
	s.writer.to = nil
	s.gzip.Reset(nil)
	h.mu.Lock()
	h.spare = s
	h.mu.Unlock()
}

// acceptsGzip reports whether a client accepts gzip.
func acceptsGzip(header http.Header) bool {
	for coding := range strings.SplitSeq(header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.TrimSpace(name) == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000") && q != "q=0.0" && q != "q=0.00"
		}
	}
	return false
}
