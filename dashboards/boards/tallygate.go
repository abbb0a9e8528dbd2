package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/promql"
	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/red"
)

// Metrics of the process, as client_golang names them.
const (
	metricCPU        = "process_cpu_seconds_total"
	metricMemory     = "process_resident_memory_bytes"
	metricGoroutines = "go_goroutines"
)

// Tallygate is about the process itself: is anything lost, and what does it cost.
func Tallygate() *board.Board {
	received, counted := book(als.MetricEntriesReceived), book(red.MetricEntriesCounted)
	dropped, skipped := book(als.MetricEntriesDropped), book(als.MetricEntriesSkipped)
	return &board.Board{
		UID: uidTallygate, Title: "Tallygate: itself",
		Description: "Is anything lost on its way into the metrics, is the table full, and what does an entry cost?",
		Variables:   variables(jobs()...),
		Rows: []board.Row{
			{Title: "Do the books balance?", Panels: []board.Panel{
				{Kind: board.Stat, Title: "How many entries?", Unit: board.OpsPerSecond, Width: 4, Height: 5,
					Description: "Access-log entries received per second. Nothing while there is traffic: no proxy streams here; tallygate doctor says who does.",
					Targets:     []board.Target{{Legend: "entries", Expr: promql.Sum(received.Rate(interval))}}},
				{Kind: board.Stat, Title: "Any entry lost?", Unit: board.OpsPerSecond, Width: 4, Height: 5, Steps: anySteps,
					Description: "Entries dropped per second. Red: what these requests did is in no metric; the reason is in the graph beside, docs/operations.md explains each.",
					Targets:     []board.Target{{Legend: "lost", Expr: promql.Sum(dropped.Rate(interval))}}},
				{Kind: board.Stat, Title: "Any refused?", Unit: board.OpsPerSecond, Width: 4, Height: 5, Steps: anySteps,
					Description: "Whole messages refused per second: malformed, too large, or from a stream that lies about who it is. Red: see the reason beside, then the log of that proxy.",
					Targets:     []board.Target{{Legend: "refused", Expr: promql.Sum(book(als.MetricFramesRefused).Rate(interval))}}},
				{Kind: board.Stat, Title: "How many open?", Unit: board.Short, Width: 4, Height: 5,
					Description: "Received less counted, skipped and dropped: what is being worked on. It returns to 0 when idle; if it grows and stays, report it as a bug.",
					Targets: []board.Target{{Legend: "open", Expr: promql.Less(promql.Less(promql.Less(
						promql.Sum(received.Now()), promql.Sum(counted.Now())), promql.Sum(skipped.Now())), promql.Sum(dropped.Now()))}}},
				{Kind: board.Stat, Title: "How many streams?", Unit: board.Short, Width: 4, Height: 5,
					Description: "Open streams: proxies times their worker threads times their log configurations. When it falls, proxies cannot connect: look at their own statistics of the cluster tallygate.",
					Targets:     []board.Target{{Legend: "streams", Expr: promql.Sum(book(als.MetricStreams).Now())}}},
				{Kind: board.Stat, Title: "Reload applied?", Unit: board.None, Width: 4, Height: 5, Steps: board.Falling(1, 1),
					Description: "1 if every replica applied its last reload. Red (0): the configuration on disk is refused and the old one stays; tallygate validate names the keys.",
					Targets:     []board.Target{{Legend: "applied", Expr: promql.Min(own(telemetry.MetricLastReloadSuccess).Now())}}},
				{Kind: board.Graph, Title: "What becomes of entries?", Unit: board.OpsPerSecond, Width: 8, Height: 9,
					Description: "Received = counted + skipped + dropped. Skipped are entries that are not the final one of a request. When received is above the others for long, see the latency beside.",
					Targets: []board.Target{
						{Legend: "received", Expr: promql.Sum(received.Rate(interval))},
						{Legend: "counted", Expr: promql.Sum(counted.Rate(interval))},
						{Legend: "skipped {{" + als.LabelReason + "}}", Expr: promql.Sum(skipped.Rate(interval), als.LabelReason)},
					}},
				{Kind: board.Graph, Title: "What is lost or refused, and why?", Unit: board.OpsPerSecond, Width: 8, Height: 9, Steps: anySteps,
					Description: "Dropped entries and refused messages by reason; red is any. malformed: a proxy of an unknown version or damage on the way; too_large: raise ingest.als.max_recv_msg_size_mib; identity: a proxy claims to be another.",
					Targets: []board.Target{
						{Legend: "entries {{" + als.LabelReason + "}}", Expr: promql.Sum(dropped.Rate(interval), als.LabelReason)},
						{Legend: "messages {{" + als.LabelReason + "}}", Expr: promql.Sum(book(als.MetricFramesRefused).Rate(interval), als.LabelReason)},
					}},
				{Kind: board.Graph, Title: "How long until a message is counted?", Unit: board.Seconds, Width: 8, Height: 9,
					Description: "From a message's arrival to all of its entries being counted. When it rises, the process is short of cores: Envoys wait, and drop when their buffer of 17 MB is full.",
					Targets:     ownQuantiles(book(als.MetricMessageLatency))},
			}},
			{Title: "Is the table full?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How many series are there?", Unit: board.Short, Width: 8,
					Description: "Label sets by view. Near red.max_series new ones go into overflow: leave out labels, or raise the cap; docs/benchmarks.md has what they cost.",
					Targets:     []board.Target{{Legend: "{{" + red.LabelView + "}}", Expr: promql.Sum(book(red.MetricSeries).Now(), red.LabelView)}}},
				{Kind: board.Graph, Title: "How many series come and go?", Unit: board.CountPerSecond, Width: 8,
					Description: "Series that are created and that expire. Much of both is churn: a label that changes with every request or deployment, such as a free-form destination_service.",
					Targets: []board.Target{
						{Legend: "created {{" + red.LabelView + "}}", Expr: promql.Sum(book(red.MetricSeriesCreated).Rate(interval), red.LabelView)},
						{Legend: "expired {{" + red.LabelView + "}}", Expr: promql.Sum(book(red.MetricSeriesExpired).Rate(interval), red.LabelView)},
					}},
				{Kind: board.Graph, Title: "Does anything go into overflow?", Unit: board.OpsPerSecond, Width: 8, Steps: anySteps,
					Description: "Entries that were counted under overflow because a cap is reached: rates stay right, labels are lost. Raise red.max_series, or find the label that grows.",
					Targets: []board.Target{
						{Legend: "series {{" + red.LabelView + "}}", Expr: promql.Sum(book(red.MetricEntriesOverflowed).Rate(interval), red.LabelView)},
						{Legend: "label {{" + red.LabelLabel + "}}", Expr: promql.Sum(book(red.MetricLabelsCapped).Rate(interval), red.LabelLabel)},
					}},
			}},
			{Title: "Who is who?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Does anybody claim to be another?", Unit: board.OpsPerSecond, Width: 8, Steps: anySteps,
					Description: "Streams and entries whose claims contradict a certificate: the claims are ignored. Red: find the proxy by its log line; it is misconfigured, or lies.",
					Targets: []board.Target{
						{Legend: "streams", Expr: promql.Sum(book(als.MetricIdentityMismatches).Rate(interval))},
						{Legend: "entries, {{" + als.LabelSide + "}} side", Expr: promql.Sum(book(als.MetricIdentityConflicts).Rate(interval), als.LabelSide)},
						{Legend: "learned", Expr: promql.Sum(book(als.MetricLearnedConflicts).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "How many workloads are known by address?", Unit: board.Short, Width: 8,
					Description: "Workloads learned from the streams, by which callers without metadata are named. At learned.max_entries no more are learned, and callers become unknown.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: book(als.MetricLearnedEntries).Now()}}},
				{Kind: board.Graph, Title: "How do streams end?", Unit: board.CountPerSecond, Width: 8,
					Description: "Streams that ended, by reason. client and age are usual; broken for long is a network or a balancer that cuts idle connections; refused is identity: strict.",
					Targets:     []board.Target{{Legend: "{{" + als.LabelReason + "}}", Expr: promql.Sum(book(als.MetricStreamsEnded).Rate(interval), als.LabelReason)}}},
			}},
			{Title: "What does it cost?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How much CPU does an entry cost?", Unit: board.Seconds, Width: 8,
					Description: "CPU time of the whole process per entry, checks and scrapes included, which at little traffic are most of it. docs/benchmarks.md has what is usual; when it is far above, take a profile from /debug/pprof.",
					Targets: []board.Target{{Legend: "per entry", Expr: promql.Div(
						promql.Sum(own(metricCPU).Rate(interval)), promql.Sum(received.Rate(interval)))}}},
				{Kind: board.Graph, Title: "How many cores are used?", Unit: board.Short, Width: 8,
					Description: "CPU seconds per second of each replica. At its limit entries wait in the proxies and checks miss their deadline: add cores or replicas.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(metricCPU).Rate(interval)}}},
				{Kind: board.Graph, Title: "How much memory is used?", Unit: board.Bytes, Width: 8,
					Description: "Resident memory of each replica. It follows the number of series; near the container's limit lower red.max_series or give it more.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(metricMemory).Now()}}},
				{Kind: board.Graph, Title: "How long do scrapes take?", Unit: board.Seconds, Width: 8,
					Description: "Time of scrapes of the mesh's metrics. Near Prometheus' scrape_timeout: leave out labels or buckets (docs/benchmarks.md), or raise the timeout.",
					Targets:     ownQuantiles(book(promexp.MetricScrapeDuration))},
				{Kind: board.Graph, Title: "How do scrapes end?", Unit: board.OpsPerSecond, Width: 8,
					Colours:     map[string]string{"ok": "green", "failed": "red", "refused": "orange"},
					Description: "Scrapes by outcome. failed was cut half-way: the scraper's timeout is too short. refused: more scrapers at once than prometheus.max_concurrent_scrapes.",
					Targets:     []board.Target{{Legend: "{{" + promexp.LabelOutcome + "}}", Expr: promql.Sum(book(promexp.MetricScrapes).Rate(interval), promexp.LabelOutcome)}}},
				{Kind: board.Graph, Title: "How many goroutines run?", Unit: board.Short, Width: 8,
					Description: "Goroutines of each replica: a few per stream and per check in flight. Growth without more proxies is a leak: /debug/pprof/goroutine names it; report it.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(metricGoroutines).Now()}}},
			}},
			{Title: "Who is connected, and what runs?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How many connections are open?", Unit: board.Short, Width: 8,
					Description: "Connections by listener. A listener at nothing that should have some: its clients point elsewhere, or the port is not reachable.",
					Targets:     []board.Target{{Legend: "{{" + ingest.LabelListener + "}}", Expr: promql.Sum(own(ingest.MetricConnections).Now(), ingest.LabelListener)}}},
				{Kind: board.Graph, Title: "Do TLS handshakes fail?", Unit: board.OpsPerSecond, Width: 8, Steps: anySteps,
					Description: "Connections refused in the TLS handshake. Red: clients without a valid certificate, or ours has expired; the panel of certificates says which.",
					Targets:     []board.Target{{Legend: "{{" + ingest.LabelListener + "}}", Expr: promql.Sum(own(ingest.MetricTLSHandshakeFailures).Rate(interval), ingest.LabelListener)}}},
				{Kind: board.Table, Title: "What runs where?", Unit: board.None, Width: 8,
					Description: "The version of every replica. Two versions for longer than a rollout takes: the rollout is stuck.",
					Columns:     []board.Column{{Field: "instance", Title: "Instance"}, {Field: "version", Title: "Version"}, {Field: "go_version", Title: "Go"}},
					Targets:     []board.Target{{Instant: true, Expr: promql.Group(own(telemetry.MetricBuildInfo).Now(), "instance", "version", "go_version")}}},
			}},
		},
	}
}

// book selects the books, which are served beside the mesh's metrics.
func book(name string) promql.Metric { return promql.Select(name, meshJob) }
