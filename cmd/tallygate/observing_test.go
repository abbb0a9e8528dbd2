package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslog "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/internal/fleet"
)

// report sends requests from a to b that end with the codes; a 403 is a denial of
// a policy.
func report(t *testing.T, p *proc, codes ...uint32) {
	t.Helper()
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	if err := e.open(); err != nil {
		t.Fatal(err)
	}
	logs := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for _, code := range codes {
		c := &accesslog.AccessLogCommon{
			StartTime: timestamppb.Now(), Duration: durationpb.New(3e6),
			CustomTags: map[string]string{
				"reporter": "destination", "source_workload": "a", "source_workload_namespace": "shop",
				"destination_workload": "b", "destination_workload_namespace": "shop", "destination_service": "b.shop.svc.cluster.local",
				"trace_id": "0af7651916cd43dd8448eb211c80319c",
			},
		}
		if code == 403 {
			c.ResponseFlags = &accesslog.ResponseFlags{UnauthorizedDetails: &accesslog.ResponseFlags_Unauthorized{Reason: accesslog.ResponseFlags_Unauthorized_EXTERNAL_SERVICE}}
			meta, err := structpb.NewStruct(map[string]any{"decision_id": "d-1", "policy_rule": "authz/allow:7"})
			if err != nil {
				t.Fatal(err)
			}
			c.Metadata = &core.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.filters.http.ext_authz": meta}}
		}
		logs.LogEntry = append(logs.LogEntry, &accesslog.HTTPAccessLogEntry{
			CommonProperties: c,
			Request:          &accesslog.HTTPRequestProperties{RequestMethod: core.RequestMethod_GET, Authority: "b.shop", Path: "/cart?token=abc"},
			Response:         &accesslog.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(code)},
		})
	}
	e.named = true
	if err := e.stream.Send(&alsv3.StreamAccessLogsMessage{
		Identifier: &alsv3.StreamAccessLogsMessage_Identifier{LogName: "test", Node: &core.Node{Id: "b-1", Cluster: "b.shop"}},
		LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs},
	}); err != nil {
		t.Fatal(err)
	}
}

// tokenFile has the token of every startProc.
func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask runs a command against p.
func (p *proc) ask(args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	var out, errs bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append(args, "--server", p.daemon.admin.Addr().String(), "--token-file", tokenFile(p.t)))
	err = root.ExecuteContext(p.t.Context())
	return out.String(), errs.String(), err
}

func TestObserving(t *testing.T) {
	p := startProc(t, "admin: {trace_url: \"http://jaeger/trace/{trace_id}\"}\n")
	empty, _, err := p.ask("edges")
	if err != nil || !strings.Contains(empty, "Nobody called anybody") {
		t.Errorf("edges without any: %v\n%s", err, empty)
	}
	if _, errs, err := p.ask("tap"); err != nil || !strings.Contains(errs, "No failure or denial") {
		t.Errorf("tap without any: %v\n%s", err, errs)
	}
	report(t, p, 200, 200, 503, 403)
	p.until("the history has them", func() bool {
		out, _, err := p.ask("edges", "-o", "json")
		var got fleet.Edges
		return err == nil && json.Unmarshal([]byte(out), &got) == nil && len(got.Edges) == 1 && got.Edges[0].Requests == 4
	})
	f := func(wants string, args ...string) {
		t.Helper()
		out, errs, err := p.ask(args...)
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, errs)
		}
		for _, want := range strings.Split(wants, "|") {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", args, want, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%v: colours where there is no terminal\n%q", args, out)
		}
	}
	name := p.instance()
	f("FROM|a.shop|b.shop|destination|25.0|last |by "+name, "edges", "--since", "1m")
	f("SEEN BY|"+name, "edges", "--since", "1m", "-o", "wide", "--where", "code=2*")
	f("RESPONSE_CODE|403|503|a", "stat", "--by", "from,code")
	f(`"by": [`, "stat", "--by", "from", "-o", "json")
	f("FROM|a.shop|25.0", "top", "--since", "1m")
	f("503|/cart?token=[masked]|trace=0af7651916cd43dd8448eb211c80319c", "tap", "--code", "5xx")
	f("denied|403 UAEX|rule=authz/allow:7|decision=d-1|a.shop → b.shop", "tap", "--denied", "--to", "b.shop")
	f(`"trace_url":"http://jaeger/trace/0af7651916cd43dd8448eb211c80319c"`, "tap", "--errors", "-o", "json")

	usage := func(want string, args ...string) {
		t.Helper()
		_, _, err := p.ask(args...)
		if e, ok := err.(*exitError); !ok || e.code != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want exit code %d and %q", args, err, exitUsage, want)
		}
	}
	usage("no such label", "stat", "--by", "colour")
	usage("since=never", "edges", "--since", "never")
	usage("-o xml", "edges", "-o", "xml")
	usage("code=6", "tap", "--code", "6")
	usage("--sort size", "top", "--sort", "size")
	usage("--last 0", "tap", "--last", "0")
	if out, _, err := p.ask("edges", "--server", "127.0.0.1:1"); err != nil || !strings.Contains(out, "a.shop") {
		t.Errorf("with one of two replicas: %v\n%s", err, out)
	}
}
