package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallygate/tallygate/test/testbed"
)

// namer makes file names that say where a frame is from: the workload, what it
// logged, and a number.
type namer struct {
	suffix   string
	workload map[int]string // by stream: only its first frame says
	count    map[string]int
}

func newNamer(suffix string) *namer {
	return &namer{suffix: suffix, workload: map[int]string{}, count: map[string]int{}}
}

func (n *namer) name(f testbed.Frame) string {
	m, err := f.Decode()
	if err != nil {
		panic(err) // Envoy sent it
	}
	if node := m.GetIdentifier().GetNode(); node != nil {
		n.workload[f.Stream], _, _ = strings.Cut(node.GetCluster(), ".")
	}
	kind, cluster := "http", ""
	for _, e := range m.GetHttpLogs().GetLogEntry() {
		cluster = e.GetCommonProperties().GetUpstreamCluster()
	}
	for _, e := range m.GetTcpLogs().GetLogEntry() {
		kind, cluster = "tcp", e.GetCommonProperties().GetUpstreamCluster()
	}
	direction := "outbound"
	if strings.HasPrefix(cluster, "inbound|") {
		direction = "inbound"
	}
	name := fmt.Sprintf("%s-%s-%s%s", kind, n.workload[f.Stream], direction, n.suffix)
	n.count[name]++
	return fmt.Sprintf("%s-%d", name, n.count[name])
}

// trim leaves node.extensions (field 9) out of identifier (1), node (1).
func trim(frame []byte) []byte {
	return rewrite(frame, 1, func(identifier []byte) []byte {
		return rewrite(identifier, 1, func(node []byte) []byte {
			return rewrite(node, 9, nil)
		})
	})
}

// rewrite replaces the values of one message field, or drops them if f is nil,
// and leaves every other byte.
func rewrite(msg []byte, field protowire.Number, f func([]byte) []byte) []byte {
	var out []byte
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		n := protowire.ConsumeFieldValue(num, typ, msg[max(tag, 0):])
		if tag < 0 || n < 0 {
			panic("Envoy sent no protobuf")
		}
		if num == field && typ == protowire.BytesType {
			if f != nil {
				value, _ := protowire.ConsumeBytes(msg[tag:])
				out = protowire.AppendTag(out, num, typ)
				out = protowire.AppendBytes(out, f(value))
			}
		} else {
			out = append(out, msg[:tag+n]...)
		}
		msg = msg[tag+n:]
	}
	return out
}
