package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/mesh"
)

const (
	shopUsers    = 20_000
	shopProducts = 10_000
	shopPages    = 100
	shopServices = 20
)

// shoppers make the traffic of a shop, the same each time.
type shoppers struct {
	rand                             *rand.Rand
	users, products, pages, services *rand.Zipf
	tokens                           map[uint64]string
}

func newShoppers() *shoppers {
	r := rand.New(rand.NewPCG(1, 2))
	return &shoppers{
		rand: r, tokens: map[uint64]string{},
		users: rand.NewZipf(r, 1.1, 8, shopUsers-1), products: rand.NewZipf(r, 1.1, 8, shopProducts-1),
		pages: rand.NewZipf(r, 1.2, 4, shopPages-1), services: rand.NewZipf(r, 1.3, 2, shopServices-1),
	}
}

// plainCheck is what matters of a CheckRequest.
type plainCheck struct {
	method, path, principal string
	source                  string
	headers                 map[string]string
	tcp                     bool
}

func account(i uint64) string { return fmt.Sprintf("svc-%d", i) }

func shopPrincipal(i uint64) string { return "spiffe://cluster.local/ns/shop/sa/" + account(i) }

func byPrincipal(v any) map[string]any {
	m := map[string]any{}
	for i := range uint64(shopServices) {
		m[shopPrincipal(i)] = v
	}
	return m
}

func allAccounts(format string) (list []any) {
	for i := range uint64(shopServices) {
		list = append(list, fmt.Sprintf(format, account(i)))
	}
	return list
}

// target is what user asks for.
func (s *shoppers) target(user uint64) (method, path string) {
	switch s.rand.IntN(3) {
	case 0:
		return "GET", fmt.Sprintf("/catalogue/page-%d?ref=%d", s.pages.Uint64(), s.rand.IntN(1000))
	case 1:
		return "GET", fmt.Sprintf("/products/%d", s.products.Uint64())
	}
	method = "GET"
	if s.rand.IntN(4) == 0 {
		method = "POST"
	}
	return method, fmt.Sprintf("/users/user-%d/orders/%x", user, s.rand.Uint64())
}

// service is a call between services.
func (s *shoppers) service() *plainCheck {
	method, path := s.target(s.users.Uint64())
	return &plainCheck{
		method: method, path: path, principal: shopPrincipal(s.services.Uint64()),
		headers: map[string]string{"x-api-key": []string{"example-key-of-acme", "example-key-of-initech"}[s.rand.IntN(2)]},
	}
}

// user is a request from outside, by the ingress.
func (s *shoppers) user() *plainCheck {
	user := s.users.Uint64()
	method, path := s.target(user)
	return &plainCheck{
		method: method, path: path, source: "10.0.0.7", principal: "spiffe://cluster.local/ns/ingress/sa/gateway",
		headers: map[string]string{
			"authorization":   "Bearer " + s.token(user),
			"x-forwarded-for": fmt.Sprintf("100.%d.%d.%d", user>>16, user>>8&0xff, user&0xff),
		},
	}
}

func (s *shoppers) grpc() *plainCheck {
	methods := []string{"Catalog/List", "Catalog/Get", "Orders/Get", "Orders/Place", "Carts/Add"}
	return &plainCheck{
		method: "POST", path: "/shop.v1." + methods[s.rand.IntN(len(methods))], principal: shopPrincipal(s.services.Uint64()),
		headers: map[string]string{"content-type": "application/grpc"},
	}
}

func (s *shoppers) connection() *plainCheck {
	return &plainCheck{tcp: true, principal: shopPrincipal(s.services.Uint64())}
}

func (s *shoppers) token(user uint64) string {
	if t, ok := s.tokens[user]; ok {
		return t
	}
	enc := func(v any) string {
		b, _ := json.Marshal(v) // of maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := enc(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + enc(map[string]any{
		"iss": "https://issuer.example", "aud": "shop", "sub": fmt.Sprintf("user-%d", user), "scope": "read write", "exp": 2_650_000_000,
	})
	mac := hmac.New(sha256.New, []byte(jwtSecret))
	mac.Write([]byte(signed))
	t := signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	s.tokens[user] = t
	return t
}

// lens is the request as policies see it.
func (c *plainCheck) lens() (mesh.Request, error) {
	socket := func(ip string, port uint32) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
		}}}
	}
	if c.source == "" {
		c.source = "10.244.1.17"
	}
	a := &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: socket(c.source, 41234), Principal: c.principal},
		Destination: &authv3.AttributeContext_Peer{Address: socket("10.244.2.9", 8080), Principal: "spiffe://cluster.local/ns/shop/sa/shop"},
		Request:     &authv3.AttributeContext_Request{},
	}
	if !c.tcp {
		a.Request.Http = &authv3.AttributeContext_HttpRequest{
			Method: c.method, Path: c.path, Host: "shop:8080", Scheme: "http", Protocol: "HTTP/1.1", Headers: c.headers,
		}
	}
	b, err := proto.Marshal(&authv3.CheckRequest{Attributes: a})
	if err != nil {
		return nil, err
	}
	return extauthz.NewRequest(b)
}
