package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/fleet"
)

// TestAskingAName: a DNS name stands for all replicas that it resolves to, each of
// which is asked under that name; one that is down is named by its address.
func TestAskingAName(t *testing.T) {
	resolveTo(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	port := serveReplica(t, "127.0.0.1:0", "one")
	serveReplica(t, "127.0.0.2:"+port, "two")

	list := sources(t.Context(), []string{"tallygate.mesh.test:" + port}, admin.ClientConfig{Token: "t"})
	if len(list) != 3 {
		t.Fatalf("%d replicas; want the 3 addresses of the name", len(list))
	}
	got, err := fleet.AskEach[string](t.Context(), list, "/api/v1/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	host := "tallygate.mesh.test:" + port
	if want := []fleet.Of[string]{{Replica: "one", Answer: host}, {Replica: "two", Answer: host}}; !slices.Equal(got.Answers, want) {
		t.Errorf("answers %v; want %v", got.Answers, want)
	}
	if n := len(got.Replicas); n != 3 || got.Replicas[0].Name != "127.0.0.3:"+port || !strings.Contains(got.Replicas[0].Error, "connection refused") {
		t.Errorf("replicas %+v; want the third to be named as down", got.Replicas)
	}
}

// serveReplica is a replica that answers with the host that it was asked for.
func serveReplica(t *testing.T, addr, name string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"replicas": [{"name": %q}], "answers": [{"replica": %q, "answer": %q}]}`, name, name, r.Host)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// resolveTo makes a name server that has these addresses for every name the one
// that is asked.
func resolveTo(t *testing.T, ips ...string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(nameAnswer(b[:n], ips), from)
		}
	}()
	usual := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = usual
		c.Close()
		<-done
	})
}

// nameAnswer answers a DNS query of one question.
// Source: RFC 1035, section 4
func nameAnswer(query []byte, ips []string) []byte {
	const typeA = 1
	end := 12 // after the header
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root, type and class
	if binary.BigEndian.Uint16(query[end-4:]) != typeA {
		ips = nil
	}
	out := slices.Clone(query[:end])
	binary.BigEndian.PutUint16(out[2:], 0x8180)           // a response, without error
	binary.BigEndian.PutUint16(out[6:], uint16(len(ips))) // answers
	clear(out[8:12])                                      // nothing more
	for _, ip := range ips {
		out = append(out, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // the name of the question, class IN, TTL 0
		out = append(out, net.ParseIP(ip).To4()...)
	}
	return out
}
