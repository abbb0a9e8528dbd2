package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// AddrConfig says where a server listens, in the keys of confignet.AddrConfig.
type AddrConfig struct {
	// Endpoint is the address: host:port, or the path of the socket with transport unix. Port 0 takes a free one.
	Endpoint string `mapstructure:"endpoint"`
	// Transport is one of tcp, tcp4, tcp6 and unix.
	Transport string `mapstructure:"transport"`
}

func (c *AddrConfig) validate() []error {
	var errs []error
	switch c.Transport {
	case "tcp", "tcp4", "tcp6":
		if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
			errs = append(errs, fmt.Errorf("endpoint: %q is not host:port", c.Endpoint))
		}
	case "unix":
		if c.Endpoint == "" {
			errs = append(errs, errors.New("endpoint: is empty; give the path of the socket"))
		} else if strings.HasPrefix(c.Endpoint, "unix:") {
			errs = append(errs, fmt.Errorf("endpoint: %q is a URL; with transport unix give the bare path", c.Endpoint))
		}
	default:
		errs = append(errs, fmt.Errorf("transport: %q is not one of tcp, tcp4, tcp6, unix", c.Transport))
	}
	return errs
}

// listen opens the listener. Its errors name the configuration key and what to
// do about it.
func (c *AddrConfig) listen(ctx context.Context, key string) (net.Listener, error) {
	if c.Transport == "unix" {
		if err := removeStaleSocket(c.Endpoint); err != nil {
			return nil, fmt.Errorf("%s.endpoint: %w", key, err)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, c.Transport, c.Endpoint)
	if err == nil {
		return l, nil
	}
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf("; another process listens there: stop it, or choose another address with --set %s.endpoint=…", key)
	case errors.Is(err, syscall.EACCES):
		advice = "; no permission: ports below 1024 need CAP_NET_BIND_SERVICE, sockets a writable directory"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "; this machine has no such address"
	}
	// "listen tcp 127.0.0.1:9001: bind: address already in use" says bind to
	// nobody but a kernel reader.
	var op *net.OpError
	var sys *os.SyscallError
	if errors.As(err, &op) && errors.As(err, &sys) {
		return nil, fmt.Errorf("%s.endpoint: %s %s %s: %w%s", key, op.Op, op.Net, c.Endpoint, sys.Err, advice)
	}
	return nil, fmt.Errorf("%s.endpoint: %w%s", key, err, advice)
}

// removeStaleSocket removes a socket that no process listens on: what a killed
// process leaves behind.
func removeStaleSocket(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket; remove it or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return nil // somebody is there: let the listen say so
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the stale socket: %w", err)
	}
	return nil
}
