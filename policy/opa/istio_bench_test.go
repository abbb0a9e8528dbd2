package opa

import (
	"context"
	"fmt"
	"testing"
)

const istioModule = `package p
import data.tallygate.istio
decision := istio.judge(prepared, istio.attributes)
prepared := istio.prepare(istio.for_workload(data.policies, data.workload))
allow := {"allowed": decision.allowed, "reason": decision.reason}`

// istioData is a namespace of ten workloads with three policies each, and three
// for the whole mesh.
func istioData() map[string]any {
	type (
		object = map[string]any
		array  = []any
	)
	policy := func(name, namespace, action string, selector object, rules ...any) object {
		return object{
			"metadata": object{"name": name, "namespace": namespace},
			"spec":     object{"action": action, "selector": selector, "rules": array(rules)},
		}
	}
	rule := func(source, operation object) object {
		return object{"from": array{object{"source": source}}, "to": array{object{"operation": operation}}}
	}
	all := array{
		policy("no-admin", "istio-system", "DENY", object{}, object{"to": array{object{"operation": object{"paths": array{"/admin*", "/api/{*}/debug"}}}}}),
		policy("no-dev", "istio-system", "DENY", object{}, object{"from": array{object{"source": object{"namespaces": array{"dev", "sandbox"}}}}}),
		policy("writes", "istio-system", "AUDIT", object{}, object{"to": array{object{"operation": object{"notMethods": array{"GET", "HEAD"}}}}}),
	}
	for i := range 10 {
		app := []string{"cart", "orders", "users", "search", "stock", "mail", "pay", "ship", "tax", "web"}[i]
		selector := object{"matchLabels": object{"app": app}}
		all = append(all,
			policy(app+"-readers", "shop", "ALLOW", selector,
				rule(object{"namespaces": array{"shop", "edge"}}, object{"methods": array{"GET"}, "paths": array{"/api/v1/" + app + "s/*", "/healthz"}}),
				rule(object{"principals": array{"cluster.local/ns/ops/sa/prober"}}, object{"paths": array{"/healthz", "/readyz"}})),
			policy(app+"-writers", "shop", "ALLOW", selector,
				rule(object{"principals": array{"cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/checkout"}},
					object{"methods": array{"POST", "PUT", "DELETE"}, "paths": array{fmt.Sprintf("/api/v1/%ss/{*}", app)}})),
			policy(app+"-ports", "shop", "DENY", selector, object{"to": array{object{"operation": object{"notPorts": array{"8080", "9090"}}}}}))
	}
	return object{"policies": all, "workload": object{"namespace": "shop", "labels": object{"app": "cart"}}}
}

// BenchmarkIstio judges one request by 33 AuthorizationPolicies, 6 of which are
// for its workload, with nothing cached.
func BenchmarkIstio(b *testing.B) {
	g := compileWith(b, Config{Entrypoint: "p/allow"}, istioModule, istioData())
	r := benchRequest(b)
	defer cpu(b)()
	b.ReportAllocs()
	for b.Loop() {
		res, err := g.Evaluate(context.Background(), "", r)
		if err != nil || !res.Verdict.Allowed {
			b.Fatal(res, err)
		}
	}
}
