package testbed

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// Redis is a running Redis server.
type Redis struct {
	*Process
	Addr string
}

// StartRedis starts a real Redis that keeps nothing on disk, and waits until it
// answers.
func (b *Bed) StartRedis(ctx context.Context) (*Redis, error) {
	addr, err := FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	r := &Redis{Addr: addr}
	r.Process, err = b.run(ctx, "redis", "redis", "redis-server", "--bind", "127.0.0.1", "--port", port,
		"--save", "", "--appendonly", "no", "--dir", b.Dir)
	if err != nil {
		return nil, err
	}
	return r, r.until(ctx, "answers", func(ctx context.Context) error {
		answer, err := r.Do(ctx, "PING")
		if err == nil && answer != "+PONG" {
			err = fmt.Errorf("PING: %s", answer)
		}
		return err
	})
}

// Do sends one inline command and returns the first line of the answer as it
// is on the wire.
// Source: https://redis.io/docs/latest/develop/reference/protocol-spec
func (r *Redis) Do(ctx context.Context, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}
