package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The policies that are compared; their data is policyData.
//
//go:embed policies/*.rego
var policies embed.FS

const (
	policyList    = "list"
	policyIndexed = "indexed"
	policyVerify  = "verify"
	policyBulk    = "bulk"
	policyWhole   = "whole"
)

const jwtSecret = "a secret of enough bytes for HS256"

func principal(i int) string { return fmt.Sprintf("spiffe://cluster.local/ns/shop/sa/client-%d", i) }

// policyData is one hundred rules, of which the last of each principal applies,
// as a list and by principal.
func policyData() map[string]any {
	var list []any
	by := map[string]any{}
	for i := range 20 {
		var own []any
		for j := range 5 {
			rule := map[string]any{"principal": principal(i), "method": "GET", "prefix": fmt.Sprintf("/other/%d/", j), "group": "readers"}
			if j == 4 {
				rule["prefix"] = "/reviews/"
			}
			list, own = append(list, rule), append(own, rule)
		}
		by[principal(i)] = own
	}
	return map[string]any{"rules": list, "by_principal": by, "secret": jwtSecret}
}

// checkPool returns n distinct CheckRequests of 1.4 KB, serialised.
func checkPool(n int) ([][]byte, error) {
	pool := make([][]byte, n)
	for i := range pool {
		b, err := proto.Marshal(checkRequest(i))
		if err != nil {
			return nil, fmt.Errorf("writing a request: %w", err)
		}
		pool[i] = b
	}
	return pool, nil
}

// checkRequest is what a sidecar sends, allowed by every policy here.
func checkRequest(i int) *authv3.CheckRequest {
	path := fmt.Sprintf("/reviews/%d?lang=en", i)
	socket := func(ip string, port uint32) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
		}}}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: socket("10.244.1.17", 41234), Principal: principal(i % 20)},
		Destination: &authv3.AttributeContext_Peer{Address: socket("10.244.2.9", 9080), Principal: "spiffe://cluster.local/ns/shop/sa/reviews"},
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.New(time.Unix(1_700_000_000, 0)),
			Http: &authv3.AttributeContext_HttpRequest{
				Id: "14230123456789", Method: "GET", Path: path, Host: "reviews:9080", Scheme: "http", Protocol: "HTTP/1.1", Size: -1,
				Headers: map[string]string{
					":authority": "reviews:9080", ":method": "GET", ":path": path, ":scheme": "http",
					"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "python-requests/2.32.3",
					"x-request-id": fmt.Sprintf("6f1d7c1e-8a0b-4a0e-9a3c-%012d", i), "x-forwarded-proto": "http",
					"x-forwarded-client-cert":     "By=spiffe://cluster.local/ns/shop/sa/reviews;Hash=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;Subject=\"\";URI=" + principal(i%20),
					"traceparent":                 fmt.Sprintf("00-4bf92f3577b34da6a3ce929d%08x-00f067aa0ba902b7-01", i),
					"authorization":               "Bearer " + token(i%100),
					"x-envoy-decorator-operation": "reviews.shop.svc.cluster.local:9080/*",
					"x-envoy-internal":            "true",
				},
			},
		},
	}}
}

// token is a JWT of user i that expires in thirty years.
func token(i int) string {
	enc := func(v any) string {
		b, _ := json.Marshal(v) // of maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := enc(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." +
		enc(map[string]any{"sub": fmt.Sprintf("user-%d", i), "group": "readers", "exp": 2_650_000_000})
	mac := hmac.New(sha256.New, []byte(jwtSecret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
