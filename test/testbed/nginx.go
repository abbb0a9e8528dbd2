package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Nginx is a running nginx.
type Nginx struct {
	*Process
	Addr string // host:port
}

// StartNginx starts a real nginx with one server, whose block is given without
// listen, and waits until it listens.
func (b *Bed) StartNginx(ctx context.Context, server string) (*Nginx, error) {
	addr, err := FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	name := b.unique("nginx")
	dir, err := b.mkdir(name + "-files")
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr info;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		%[3]s
	}
}
`, dir, addr, server)
	path := filepath.Join(b.Dir, name+".conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return nil, err
	}
	n := &Nginx{Addr: addr}
	if n.Process, err = b.run(ctx, name, "nginx", "nginx", "-e", "stderr", "-p", dir, "-c", path); err != nil {
		return nil, err
	}
	return n, n.until(ctx, "listens", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
}
