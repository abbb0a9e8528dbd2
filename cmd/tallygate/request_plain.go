package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
)

// plainRequest is a request as data.tallygate.request of the Rego library takes
// it, in a file.
type plainRequest struct {
	Method               string            `json:"method"`
	Path                 string            `json:"path"`
	Host                 string            `json:"host"`
	Headers              map[string]string `json:"headers"`
	Body                 any               `json:"body"` // text, or a value that becomes JSON
	Principal            string            `json:"principal"`
	DestinationPrincipal string            `json:"destination_principal"`
	Source               string            `json:"source"` // with or without port
	Destination          string            `json:"destination"`
	Context              map[string]string `json:"context"`
	TCP                  bool              `json:"tcp"`
}

// inputKeys are those at the top of the input contract.
var inputKeys = []string{"attributes", "parsed_path", "parsed_query", "parsed_body", "truncated_body", "source_principal", "version"}

// parseRequest reads a plain request or an input of the contract from JSON.
func parseRequest(b []byte) (mesh.Request, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil || len(keys) == 0 {
		return policy.ParseInput(b) // says what is wrong
	}
	for _, k := range inputKeys {
		if _, ok := keys[k]; ok {
			return policy.ParseInput(b)
		}
	}
	var p plainRequest
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("neither a plain request (method, path, host, headers, body, principal, destination_principal, source, destination, context, tcp) nor an input with attributes: %w", err)
	}
	f, err := p.flags()
	if err != nil {
		return nil, err
	}
	return f.lens(time.Now())
}

func (p *plainRequest) flags() (*requestFlags, error) {
	f := &requestFlags{
		method: orDefault(p.Method, "GET"), path: orDefault(p.Path, "/"), host: orDefault(p.Host, "localhost"),
		principal: p.Principal, destinationPrincipal: p.DestinationPrincipal,
		source: withPort(orDefault(p.Source, "127.0.0.1:40000")), destination: withPort(orDefault(p.Destination, "127.0.0.1:8080")),
		contextExtensions: p.Context, tcp: p.TCP, more: map[string]string{},
	}
	switch body := p.Body.(type) {
	case nil:
	case string:
		f.body = body
	default:
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		f.body, f.more["content-type"] = string(b), "application/json"
	}
	for name, value := range maps.All(p.Headers) {
		f.more[strings.ToLower(name)] = value
	}
	return f, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// withPort adds the port 0 to an address that has none.
func withPort(addr string) string {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return net.JoinHostPort(strings.Trim(addr, "[]"), "0")
	}
	return addr
}
