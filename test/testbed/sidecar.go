package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Sidecar is one workload of the mesh with the Envoy beside it.
type Sidecar struct {
	*Envoy
	Workload  string
	Namespace string
	Service   string // host name of its service
	IP        string // all its traffic has this source address
	Identity  *Identity
	Node      Node

	HTTPIn, TCPIn   string // inbound listeners, mTLS
	HTTPOut, TCPOut string // outbound listeners, plain, for the workload beside it

	apps   apps
	routes []destination
	tcpTo  *Sidecar
}

// apps are the addresses of the applications behind a sidecar.
type apps struct {
	http, grpc, tcp string
	fault           faulty
}

// destination is a service that a sidecar can reach, by its host name.
type destination struct {
	host       string
	http, grpc string // addresses of endpoints; empty for a service that has none
	uri        string // SPIFFE id of the endpoints; empty for plain text
}

// Node is the identifier of a sidecar as Istio's agent makes it.
type Node struct {
	ID       string         `json:"id"`
	Cluster  string         `json:"cluster"`
	Metadata map[string]any `json:"metadata"`
}

func newSidecar(ip, workload, namespace string) *Sidecar {
	pod := workload + "-v1-6d8f9c7b5-x2x4z"
	return &Sidecar{
		Workload:  workload,
		Namespace: namespace,
		Service:   fmt.Sprintf("%s.%s.svc.cluster.local", workload, namespace),
		IP:        ip,
		Node: Node{
			ID:      fmt.Sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", ip, pod, namespace, namespace),
			Cluster: workload + "." + namespace,
			Metadata: map[string]any{
				"NAME":            pod,
				"NAMESPACE":       namespace,
				"WORKLOAD_NAME":   workload + "-v1",
				"CLUSTER_ID":      "east",
				"MESH_ID":         TrustDomain,
				"SERVICE_ACCOUNT": workload,
				"ISTIO_VERSION":   "1.24.2",
				"INSTANCE_IPS":    ip,
				"OWNER":           fmt.Sprintf("kubernetes://apis/apps/v1/namespaces/%s/deployments/%s-v1", namespace, workload),
				"LABELS": map[string]any{
					"app":                                 workload,
					"version":                             "v1",
					"service.istio.io/canonical-name":     workload,
					"service.istio.io/canonical-revision": "v1",
				},
			},
		},
	}
}

func (s *Sidecar) listen() error {
	for _, addr := range []*string{&s.HTTPIn, &s.TCPIn, &s.HTTPOut, &s.TCPOut} {
		var err error
		if *addr, err = FreeAddr(s.IP); err != nil {
			return err
		}
	}
	return nil
}

// start runs the sidecar's Envoy, or a new one after the last has ended.
func (s *Sidecar) start(ctx context.Context, b *Bed, cfg MeshConfig, logs logSink) error {
	bootstrap, err := json.MarshalIndent(s.bootstrap(cfg, logs), "", "  ")
	if err != nil {
		return err
	}
	s.Envoy, err = b.StartEnvoy(ctx, EnvoyConfig{Name: s.Workload, Bootstrap: string(bootstrap), Concurrency: cfg.Concurrency})
	return err
}

type (
	obj  = map[string]any
	list = []any
)

const api = "type.googleapis.com/envoy."

// bootstrap is the whole configuration of the sidecar's Envoy, as an operator
// would write it in YAML.
func (s *Sidecar) bootstrap(cfg MeshConfig, logs logSink) obj {
	clusters := list{logs.cluster(s), spansCluster(cfg)}
	listeners := list{s.httpListener(cfg, outbound), s.tcpListener(cfg, outbound)}
	for _, d := range s.routes {
		clusters = append(clusters, s.serviceCluster(d, portHTTP, d.http), s.serviceCluster(d, portGRPC, d.grpc))
	}
	if s.tcpTo != nil {
		d := destination{host: s.tcpTo.Service, uri: s.tcpTo.Identity.URI}
		clusters = append(clusters, s.serviceCluster(d, portTCP, s.tcpTo.TCPIn))
	}
	if s.apps.http != "" {
		listeners = append(listeners, s.httpListener(cfg, inbound), s.tcpListener(cfg, inbound))
		clusters = append(clusters,
			appCluster(portHTTP, s.apps.http), appCluster(portGRPC, s.apps.grpc), appCluster(portTCP, s.apps.tcp))
	}
	if cfg.Checks != "" {
		clusters = append(clusters, checksCluster(cfg.Checks))
	}
	return obj{
		"node":             s.Node,
		"admin":            obj{"address": socketAddress("127.0.0.1:0")},
		"static_resources": obj{"listeners": listeners, "clusters": clusters},
	}
}

// The ports of every service, as its clusters name them.
const (
	portHTTP = 8080
	portGRPC = 9090
	portTCP  = 7000
)

func outboundName(port int, host string) string { return fmt.Sprintf("outbound|%d||%s", port, host) }
func inboundName(port int) string               { return fmt.Sprintf("inbound|%d||", port) }

func socketAddress(addr string) obj {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err) // addresses are our own
	}
	n, _ := strconv.Atoi(port)
	return obj{"socket_address": obj{"address": host, "port_value": n}}
}

func fileSource(path string) obj { return obj{"filename": path} }

// tlsContext shows the sidecar's certificate and accepts the peer with the
// given SPIFFE id, any of the mesh if it is empty.
func (s *Sidecar) tlsContext(root, uri string) obj {
	san := obj{"prefix": "spiffe://" + TrustDomain + "/"}
	if uri != "" {
		san = obj{"exact": uri}
	}
	return obj{
		"tls_certificates": list{obj{
			"certificate_chain": fileSource(s.Identity.Cert),
			"private_key":       fileSource(s.Identity.Key),
		}},
		"validation_context": obj{
			"trusted_ca":                    fileSource(root),
			"match_typed_subject_alt_names": list{obj{"san_type": "URI", "matcher": san}},
		},
	}
}

func (s *Sidecar) root() string { return s.Identity.Root }

// seconds writes a duration as protobuf's JSON does.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// clean makes a name that can be a stat prefix.
func clean(s string) string { return strings.NewReplacer("|", "_", ".", "_").Replace(s) }
