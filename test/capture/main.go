package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

func main() {
	out := flag.String("out", "", "directory for the frames")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	if out == "" {
		return errors.New("-out names no directory")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for suffix, cfg := range map[string]testbed.MeshConfig{"": {}, "-notags": {NoTags: true}} {
		frames, err := record(ctx, cfg)
		if err != nil {
			return err
		}
		names := newNamer(suffix)
		for _, f := range frames {
			if err := os.WriteFile(filepath.Join(out, names.name(f)+".bin"), trim(f.Bytes), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// record runs a mesh of its own and returns what its sidecars logged.
func record(ctx context.Context, cfg testbed.MeshConfig) (frames []testbed.Frame, err error) {
	dir, err := os.MkdirTemp("", "tallygate-capture")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b, err := testbed.New(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	r, err := b.StartRecorder("127.0.0.1")
	if err != nil {
		return nil, err
	}
	ca, err := testbed.NewCA(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, err
	}
	cfg.Logs = []string{r.Addr}
	m, err := b.StartMesh(ctx, ca, cfg)
	if err != nil {
		return nil, err
	}
	d, err := m.Driver()
	if err != nil {
		return nil, err
	}
	want := testbed.Tally{}
	for _, s := range testbed.Scenarios() {
		if err := s.Run(ctx, d, want); err != nil {
			return nil, err
		}
	}
	connections, err := talkTCP(ctx, d)
	if err != nil {
		return nil, err
	}
	err = testbed.Poll(ctx, 100*time.Millisecond, func(context.Context) error {
		frames = r.Frames()
		got, err := testbed.CountFinal(frames)
		if err == nil && got < want.Sum()+connections {
			err = fmt.Errorf("%d entries; want %d", got, want.Sum()+connections)
		}
		return err
	})
	return frames, err
}

// talkTCP opens a short and a long connection and returns how many ends of
// connections the sidecars will log.
func talkTCP(ctx context.Context, d *testbed.Driver) (ends int, err error) {
	if err := d.Echo(ctx, 10_000); err != nil {
		return 0, err
	}
	conn, err := d.DialTCP(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for range 3 { // long enough for periodic entries
		if err := testbed.Exchange(conn, 1000); err != nil {
			return 0, err
		}
		time.Sleep(time.Second)
	}
	return 2 * 4, nil
}
