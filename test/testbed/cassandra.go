package testbed

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"
)

// Cassandra is a running single node.
type Cassandra struct {
	*Process
	Addr string // CQL

	bed       *Bed
	java, dir string
}

//go:embed cassandra.tmpl
var cassandraFiles string

var cassandraTemplates = template.Must(template.New("").Parse(cassandraFiles))

// CassandraConfig says how the node runs.
type CassandraConfig struct {
	// Periodic acknowledges writes before they are on the disk, as Cassandra does
	// by default, and schemas too; without it what was acknowledged survives a kill.
	Periodic bool
	HeapMB   int // 512 if 0
}

// StartCassandra starts a real Cassandra node and waits until it serves CQL.
func (b *Bed) StartCassandra(ctx context.Context, cfg CassandraConfig) (*Cassandra, error) {
	in, err := b.Cache.Installed("cassandra")
	if err != nil {
		return nil, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	name := b.unique("cassandra-files")
	dir, err := b.mkdir(name)
	if err != nil {
		return nil, err
	}
	jamm, err := filepath.Glob(filepath.Join(in.Dir, "jars", "jamm-*.jar"))
	if err != nil || len(jamm) != 1 {
		return nil, fmt.Errorf("component cassandra has %d jamm jars: %w", len(jamm), err)
	}
	cql, err := FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	gossip, err := FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	values := obj{"Dir": dir, "Jars": filepath.Join(in.Dir, "jars"), "Jamm": jamm[0], "CQL": cql, "Gossip": gossip, "Periodic": cfg.Periodic, "HeapMB": cmp.Or(cfg.HeapMB, 512)}
	for _, file := range []string{"cassandra.yaml", "logback.xml", "jvm.args"} {
		var text bytes.Buffer
		if err := cassandraTemplates.ExecuteTemplate(&text, file, values); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, file), text.Bytes(), 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, err
	}
	c := &Cassandra{Addr: fmt.Sprintf("127.0.0.1:%d", cql), bed: b, java: java, dir: dir}
	return c, c.start(ctx)
}

// Restart kills the node where it stands, calls between, and starts it again with
// the data and the address that it had.
func (c *Cassandra) Restart(ctx context.Context, between func()) error {
	if err := c.Kill(); err != nil {
		return err
	}
	between()
	return c.start(ctx)
}

func (c *Cassandra) start(ctx context.Context) (err error) {
	c.Process, err = c.bed.Start(ctx, "cassandra", nil, c.java, "@"+filepath.Join(c.dir, "jvm.args"), "org.apache.cassandra.service.CassandraDaemon")
	if err != nil {
		return err
	}
	c.bed.onClose(c.Process.Kill) // flushing what nobody reads again takes long
	return c.until(ctx, "serves CQL", func(ctx context.Context) error {
		if !strings.Contains(c.Log(1<<20), "Startup complete") {
			return errors.New("its log does not say that it has started")
		}
		return c.Options(ctx)
	})
}

// Options asks the node which CQL it speaks, in version 4 of the protocol.
// Source: https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec
func (c *Cassandra) Options(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	const optionsCode, supported = 0x05, 0x06
	if _, err := conn.Write([]byte{4, 0, 0, 1, optionsCode, 0, 0, 0, 0}); err != nil {
		return err
	}
	header := make([]byte, 9)
	if _, err := conn.Read(header); err != nil {
		return err
	}
	if header[4] != supported {
		return fmt.Errorf("answer to OPTIONS has opcode %#x", header[4])
	}
	return nil
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava looks for the versions of Java that Cassandra 5.0 supports; the
// machine's default may be newer.
func findJava(ctx context.Context) (string, error) {
	candidates := []string{"java"}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		candidates = append([]string{filepath.Join(home, "bin", "java")}, candidates...)
	}
	for _, pattern := range []string{"/usr/lib/jvm/*17*/bin/java", "/usr/lib/jvm/*11*/bin/java"} {
		found, _ := filepath.Glob(pattern)
		candidates = append(candidates, found...)
	}
	for _, java := range candidates {
		out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
		if err != nil {
			continue
		}
		if v := javaVersion.FindSubmatch(out); v != nil && (string(v[1]) == "17" || string(v[1]) == "11") {
			return exec.LookPath(java)
		}
	}
	return "", errors.New("no Java 17 or 11: apt-get install openjdk-17-jre-headless, or set JAVA_HOME")
}
