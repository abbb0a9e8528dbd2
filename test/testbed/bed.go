package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/tallygate/tallygate/test/components/component"
)

// Bed owns a directory and the processes that were started in it.
type Bed struct {
	Dir   string
	Cache *component.Cache

	net byte2 // the bed's own 127.x.y.0/24, so that beds do not meet

	mu      sync.Mutex
	closers []func() error
	procs   []*Process
	names   map[string]int
}

type byte2 [2]byte

// New returns a bed in a directory that exists.
func New(dir string) (*Bed, error) {
	cache, err := component.Open(io.Discard)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Bed{
		Dir:   dir,
		Cache: cache,
		net:   byte2{byte(16 + rand.IntN(200)), byte(1 + rand.IntN(250))},
		names: map[string]int{},
	}, nil
}

// IP returns an address of the bed's own loopback network.
func (b *Bed) IP(host byte) string { return fmt.Sprintf("127.%d.%d.%d", b.net[0], b.net[1], host) }

// Close stops everything that was started, the youngest first.
func (b *Bed) Close() error {
	b.mu.Lock()
	closers := b.closers
	b.closers = nil
	b.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}

// Processes returns every process that was started, dead ones too.
func (b *Bed) Processes() []*Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*Process(nil), b.procs...)
}

func (b *Bed) onClose(f func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closers = append(b.closers, f)
}

// unique makes a name that the bed has not used before.
func (b *Bed) unique(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.names[name]++
	if n := b.names[name]; n > 1 {
		return fmt.Sprintf("%s-%d", name, n)
	}
	return name
}

// mkdir makes a directory of the bed.
func (b *Bed) mkdir(name string) (string, error) {
	dir := filepath.Join(b.Dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// run starts a program of the cache as a process of the bed.
func (b *Bed) run(ctx context.Context, name, comp, program string, args ...string) (*Process, error) {
	in, err := b.Cache.Installed(comp)
	if err != nil {
		return nil, err
	}
	return b.Start(ctx, name, in.Env(), in.Path(program), args...)
}
