package testbed

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Redis is a running Redis server.
type Redis struct {
	*Process
	Addr string

	start func(context.Context) error
}

// StartRedis starts a real Redis that keeps nothing on disk, and waits until it
// answers.
func (b *Bed) StartRedis(ctx context.Context) (*Redis, error) { return b.StartRedisWith(ctx) }

// StartRedisWith is StartRedis with further options.
func (b *Bed) StartRedisWith(ctx context.Context, options ...string) (*Redis, error) {
	return b.startRedis(ctx, append([]string{"--save", "", "--appendonly", "no"}, options...))
}

func (b *Bed) startRedis(ctx context.Context, options []string) (*Redis, error) {
	addr, err := FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	r := &Redis{Addr: addr}
	options = append(options, "--bind", "127.0.0.1", "--port", port, "--dir", b.Dir)
	r.start = func(ctx context.Context) error {
		p, err := b.run(ctx, b.unique("redis"), "redis", "redis-server", options...)
		if err != nil {
			return err
		}
		r.Process = p
		return r.until(ctx, "answers", func(ctx context.Context) error {
			answer, err := r.Do(ctx, "PING")
			if err == nil && answer != "+PONG" && !strings.HasPrefix(answer, "-NOAUTH") {
				err = fmt.Errorf("PING: %s", answer)
			}
			return err
		})
	}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Restart kills the server if it still runs, and starts it again on its port. What
// it did not keep on disk is lost.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.Kill(); err != nil {
		return err
	}
	return r.start(ctx)
}

// ok sends a command that must be answered with OK.
func (r *Redis) ok(ctx context.Context, command string) error {
	answer, err := r.Do(ctx, command)
	if err == nil && answer != "+OK" {
		err = fmt.Errorf("%s: %s", command, answer)
	}
	return err
}

// Do sends one inline command and returns the first line of the answer as it
// is on the wire.
// Source: https://redis.io/docs/latest/develop/reference/protocol-spec
func (r *Redis) Do(ctx context.Context, command string) (string, error) {
	return r.ask(ctx, command, func(line string, _ *bufio.Reader) (string, error) { return line, nil })
}

// Bulk sends one inline command whose answer is a bulk string, or an array with
// at most one, and returns that.
func (r *Redis) Bulk(ctx context.Context, command string) (string, error) {
	return r.ask(ctx, command, func(line string, rest *bufio.Reader) (string, error) {
		if line == "*0" {
			return "", nil
		}
		if line == "*1" {
			next, err := rest.ReadString('\n')
			if err != nil {
				return "", err
			}
			line = strings.TrimSpace(next)
		}
		n, err := strconv.Atoi(strings.TrimPrefix(line, "$"))
		if err != nil || !strings.HasPrefix(line, "$") || n < 0 {
			return "", fmt.Errorf("%s: %s", command, line)
		}
		b := make([]byte, n)
		_, err = io.ReadFull(rest, b)
		return string(b), err
	})
}

func (r *Redis) ask(ctx context.Context, command string, read func(line string, rest *bufio.Reader) (string, error)) (string, error) {
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
	rest := bufio.NewReader(conn)
	line, err := rest.ReadString('\n')
	if err != nil {
		return "", err
	}
	return read(strings.TrimSpace(line), rest)
}
