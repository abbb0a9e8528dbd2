//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslog "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/test/testbed"
)

const (
	largeServices = 500
	largeEdges    = 5000
)

// largeMesh is one message with a request of every edge.
func largeMesh() *alsv3.StreamAccessLogsMessage {
	teams := []string{"checkout", "catalog", "identity", "search", "billing", "shipping", "media", "platform", "growth", "data"}
	name := func(i int) string { return fmt.Sprintf("%s-%03d", teams[i%len(teams)], i) }
	logs := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for i := range largeEdges {
		from := i / (largeEdges / largeServices)
		to := (from + 1 + (i%10)*(i%10)*4 + i%7) % largeServices
		code := uint32(200)
		if from%97 == 3 {
			code = 503
		}
		logs.LogEntry = append(logs.LogEntry, &accesslog.HTTPAccessLogEntry{
			CommonProperties: &accesslog.AccessLogCommon{
				StartTime: timestamppb.Now(), Duration: durationpb.New(time.Duration(1+i%40) * time.Millisecond),
				CustomTags: map[string]string{
					"reporter": "destination", "source_workload": name(from), "source_workload_namespace": teams[from%len(teams)],
					"destination_workload": name(to), "destination_workload_namespace": teams[to%len(teams)],
					"destination_service": name(to) + "." + teams[to%len(teams)] + ".svc.cluster.local",
				},
			},
			Request:  &accesslog.HTTPRequestProperties{RequestMethod: core.RequestMethod_GET, Authority: "b", Path: fmt.Sprintf("/items/%d", i)},
			Response: &accesslog.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(code)},
		})
	}
	return &alsv3.StreamAccessLogsMessage{
		Identifier: &alsv3.StreamAccessLogsMessage_Identifier{LogName: "large", Node: &core.Node{Id: "large", Cluster: "large"}},
		LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs},
	}
}

// The console is usable with 500 services and 5,000 edges: it weighs little, the
// table holds only what is on the screen, and frames are short.
func TestConsoleLarge(t *testing.T) {
	tg := StartTallygate(t, testbed.TallygateConfig{})
	client, err := Bed(t).DialALS(tg.ALS, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := client.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	message := largeMesh()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for stream.SendMessage(message) == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	b := openConsole(t, tg)
	b.shows(30*time.Second, "main .count", "500 services, 5000 edges")
	for _, width := range []int64{1280, 390} {
		b.size(width, 800)
		Eventually(t, 10*time.Second, func(context.Context) error {
			if n := eval[float64](b, "tallygateGraph.seen()"); n != largeServices {
				return fmt.Errorf("%v services are to be seen at %d pixels; want all %d", n, width, largeServices)
			}
			return nil
		})
	}
	b.size(1280, 800)
	paint := eval[float64](b, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime || 0")
	b.mu.Lock()
	t.Logf("%d files, %.0f KB; first paint after %.0f ms", b.files, b.weight/1000, paint)
	if b.weight > 300_000 || b.weight == 0 {
		t.Errorf("the page weighs %.0f bytes; want less than 300 KB", b.weight)
	}
	b.mu.Unlock()
	frames := eval[struct{ Mean, Worst float64 }](b, `(() => {
		const g = tallygateGraph;
		Object.assign(g.stats, {frames: 0, total: 0, worst: 0});
		for (let i = 0; i < 60; i++) { g.pan(i % 2 ? 5 : -4, 2); g.paint(); }
		return {mean: g.stats.total / g.stats.frames, worst: g.stats.worst};
	})()`)
	t.Logf("a frame of the graph takes %.1f ms, at worst %.1f ms", frames.Mean, frames.Worst)
	b.press("0", "Digit0") // all of it again
	b.pictures("large-graph")

	b.view("edges")
	b.shows(10*time.Second, "main .count", "5000 edges")
	rows := eval[float64](b, "document.querySelectorAll('#edge-table tr[data-id]').length")
	if rows < 10 || rows > 80 {
		t.Errorf("%v rows exist; want those on the screen", rows)
	}
	took := eval[float64](b, `(() => {
		const s = document.querySelector('.scroll'), began = performance.now();
		for (let i = 1; i <= 50; i++) s.scrollTop = i * 3000, s.dispatchEvent(new Event('scroll')), s.clientHeight;
		return (performance.now() - began) / 50;
	})()`)
	t.Logf("scrolling the table takes %.2f ms a step", took)
	eval[chromedp.Void](b, "document.querySelector('.scroll').scrollTop = 0")
	b.click(`[data-sort="errors"]`)
	b.shows(10*time.Second, "#edge-table tbody tr[data-id]", "100.0")
	b.pictures("large-edges")
}
