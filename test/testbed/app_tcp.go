package testbed

import (
	"io"
	"net"
	"sync"
)

// serveTCP starts an application on a port of 127.0.0.1 that echoes what it
// gets, or, if there is a next service, relays to that.
func (b *Bed) serveTCP(next hop) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	b.onClose(l.Close)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if next.tcp == "" {
					_, _ = io.Copy(conn, conn)
					return
				}
				relay(conn, next.tcp)
			}()
		}
	}()
	return l.Addr().String(), nil
}

// relay passes bytes both ways, and the end of each way.
func relay(conn net.Conn, addr string) {
	up, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer up.Close()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{up, conn}, {conn, up}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	wg.Wait()
}
