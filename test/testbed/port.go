package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

var ports = struct {
	sync.Mutex
	given map[string]bool
}{given: map[string]bool{}}

// FreePort returns a TCP port of ip that nobody listens on. It is for programs
// that cannot say which port the system gave them, so it stays clear of the
// range from which the kernel takes the ports of outgoing connections.
func FreePort(ip string) (int, error) {
	ports.Lock()
	defer ports.Unlock()
	var last error
	for range 200 {
		port := 12000 + rand.IntN(20000)
		addr := net.JoinHostPort(ip, strconv.Itoa(port))
		if ports.given[addr] {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		l.Close()
		ports.given[addr] = true
		return port, nil
	}
	return 0, fmt.Errorf("no free port on %s: %w", ip, last)
}

// FreeAddr returns ip with a free port of it.
func FreeAddr(ip string) (string, error) {
	port, err := FreePort(ip)
	return net.JoinHostPort(ip, strconv.Itoa(port)), err
}
