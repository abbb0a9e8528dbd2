package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/mesh"
)

// requestFlags are a plain HTTP request on the command line.
type requestFlags struct {
	method, path, host, body        string
	headers                         []string
	principal, destinationPrincipal string
	source, destination             string
	contextExtensions               map[string]string
	tcp                             bool
	more                            map[string]string // headers of a plain request
}

func (f *requestFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.method, "method", "GET", "HTTP method")
	fl.StringVar(&f.path, "path", "/", "path with query")
	fl.StringVar(&f.host, "host", "localhost", "host")
	fl.StringArrayVarP(&f.headers, "header", "H", nil, "request header, `name=value` or \"name: value\"; repeats")
	fl.StringVar(&f.body, "body", "", "request body")
	fl.StringVar(&f.principal, "principal", "", "SPIFFE `id` of the client's certificate")
	fl.StringVar(&f.destinationPrincipal, "destination-principal", "", "SPIFFE `id` of the server's certificate")
	fl.StringVar(&f.source, "source", "127.0.0.1:40000", "`address` of the client")
	fl.StringVar(&f.destination, "destination", "127.0.0.1:8080", "`address` of the server")
	fl.StringToStringVar(&f.contextExtensions, "context", nil, "context extensions of the route, `key=value`")
	fl.BoolVar(&f.tcp, "tcp", false, "a TCP connection: no HTTP request")
}

// request is what Envoy would send.
func (f *requestFlags) request(now time.Time) (*authv3.CheckRequest, error) {
	src, err := socket(f.source)
	if err != nil {
		return nil, fmt.Errorf("--source: %w", err)
	}
	dst, err := socket(f.destination)
	if err != nil {
		return nil, fmt.Errorf("--destination: %w", err)
	}
	a := &authv3.AttributeContext{
		Source:            &authv3.AttributeContext_Peer{Address: src, Principal: f.principal},
		Destination:       &authv3.AttributeContext_Peer{Address: dst, Principal: f.destinationPrincipal},
		ContextExtensions: f.contextExtensions,
		Request:           &authv3.AttributeContext_Request{Time: timestamppb.New(now)},
	}
	if f.tcp {
		return &authv3.CheckRequest{Attributes: a}, nil
	}
	headers := map[string]string{":method": f.method, ":path": f.path, ":authority": f.host, ":scheme": "http"}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, "=")
		if colonName, colonValue, colon := strings.Cut(h, ":"); colon && colonName != "" && (!ok || len(colonName) < len(name)) {
			name, value, ok = colonName, strings.TrimSpace(colonValue), true
		}
		if !ok || name == "" {
			return nil, fmt.Errorf("--header %s: want name=value", h)
		}
		headers[strings.ToLower(name)] = value
	}
	for name, value := range f.more {
		headers[name] = value
	}
	a.Request.Http = &authv3.AttributeContext_HttpRequest{
		Id: "1", Method: f.method, Path: f.path, Host: f.host, Scheme: "http", Protocol: "HTTP/1.1",
		Headers: headers, Body: f.body, Size: int64(len(f.body)),
	}
	return &authv3.CheckRequest{Attributes: a}, nil
}

// lens is that request as policies see it.
func (f *requestFlags) lens(now time.Time) (mesh.Request, error) {
	m, err := f.request(now)
	if err != nil {
		return nil, err
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	return extauthz.NewRequest(b)
}

func socket(addr string) (*core.Address, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, errors.New("the port is not a number")
	}
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}, nil
}
