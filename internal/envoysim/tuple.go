package envoysim

import "fmt"

// workload is one service of the simulated mesh, by its number; the variant
// makes more workloads of it, as a rollout does.
type workload struct{ service, variant int }

var roles = [...]string{"cart", "catalog", "checkout", "currency", "email", "frontend", "payment", "ranking", "reviews", "shipping"}

func (w workload) serviceName() string {
	return fmt.Sprintf("%s-%03d", roles[w.service%len(roles)], w.service)
}
func (w workload) namespace() string { return fmt.Sprintf("shop-%02d", w.service%20) }
func (w workload) version() string   { return fmt.Sprintf("v%d", w.variant+1) }
func (w workload) name() string      { return w.serviceName() + "-" + w.version() }
func (w workload) host() string      { return w.serviceName() + "." + w.namespace() + ".svc.cluster.local" }
func (w workload) account() string   { return w.serviceName() }
func (w workload) principal() string {
	return "spiffe://cluster.local/ns/" + w.namespace() + "/sa/" + w.account()
}

// address is the workload's IPv4 address, in 10.0.0.0/8.
func (w workload) address() string {
	return fmt.Sprintf("10.%d.%d.%d", w.variant%250+1, w.service/250%250, w.service%250+1)
}

type protocol uint8

const (
	protocolHTTP protocol = iota
	protocolGRPC
	protocolTCP
)

// outcome is how a request ended, as far as the labels know.
type outcome struct {
	code  uint32
	flags string // "", "UF,URX"
	grpc  string // grpc-status
}

var outcomes = [...][]outcome{
	protocolHTTP: {{code: 200}, {code: 404}, {code: 302}, {code: 201}, {code: 503, flags: "UF,URX"}},
	protocolGRPC: {{code: 200, grpc: "0"}, {code: 200, grpc: "5"}, {code: 200, grpc: "14"}},
	protocolTCP:  {{}},
}

// tuple is one distinct set of labels.
type tuple struct {
	self, peer workload
	source     bool // reported by the source
	protocol   protocol
	outcome
}

// tuples returns the label sets that stream s reports: every label set of p
// belongs to exactly one stream.
func (p Profile) tuples(s int) []tuple {
	self, source := workload{service: s % p.Services}, p.Sides == SideSource
	if p.Sides == SideBoth {
		self.service, source = s/2%p.Services, s%2 == 1
	}
	var out []tuple
	var seen [len(outcomes)]int
	for i := s; i < p.Tuples; i += p.Streams {
		proto := protocolHTTP
		switch x := len(out) * 37 % 100; { // 37 is coprime to 100: shares are exact over 100 label sets
		case x < p.TCP:
			proto = protocolTCP
		case x < p.TCP+p.GRPC:
			proto = protocolGRPC
		}
		n := seen[proto]
		seen[proto]++
		ways := outcomes[proto]
		nth := n/len(ways) + int(proto) // the peer
		peer := workload{
			service: (self.service + 1 + nth%(p.Services-1)) % p.Services,
			// Streams of one service (more streams than services) have their own peers.
			variant: nth/(p.Services-1) + s/(2*p.Services)*8,
		}
		out = append(out, tuple{self: self, peer: peer, source: source, protocol: proto, outcome: ways[n%len(ways)]})
	}
	return out
}
