package local

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tallygate/tallygate/storage"
)

// Stores are the directories that this process has open: the engine lets a
// directory be opened once, and exporter and query API share it.
type Stores struct {
	mu   sync.Mutex
	open map[string]*shared
	log  *slog.Logger
}

type shared struct {
	*Store
	users     int
	temporary string // removed at the end
}

// NewStores returns a set with nothing open.
func NewStores(log *slog.Logger) *Stores {
	return &Stores{open: map[string]*shared{}, log: log}
}

// Handle is a use of an open store.
type Handle struct {
	*Store
	stores *Stores
	key    string
	once   sync.Once
}

// Open opens the store that cfg names, or shares it if it is open; then the
// limits of cfg hold from now on. Close must be called.
func (ss *Stores) Open(cfg *Config) (*Handle, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	key := cfg.Directory
	if key != "" {
		abs, err := filepath.Abs(key)
		if err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		key = abs
	}
	limits := Limits{TTL: cfg.TTL, MaxBytes: cfg.MaxBytes, MinFreeBytes: cfg.MinFreeBytes}
	if sh, ok := ss.open[key]; ok {
		sh.users++
		sh.SetLimits(limits)
		return &Handle{Store: sh.Store, stores: ss, key: key}, nil
	}
	sh, err := ss.start(key, limits)
	if err != nil {
		return nil, err
	}
	ss.open[key] = sh
	return &Handle{Store: sh.Store, stores: ss, key: key}, nil
}

func (ss *Stores) start(dir string, limits Limits) (*shared, error) {
	anyDir := dir == ""
	if anyDir {
		var err error
		if dir, err = defaultDirectory(); err != nil {
			return nil, fmt.Errorf("directory is not set and there is no home: %w", err)
		}
	}
	st, err := openDirectory(dir, limits, ss.log)
	if err == nil || !anyDir {
		return &shared{Store: st, users: 1}, err
	}
	// Nobody asked for this directory: another process may have it, or it is not
	// to be written to.
	temporary, tempErr := os.MkdirTemp("", "tallygate-spans-")
	if tempErr != nil {
		return nil, errors.Join(err, tempErr)
	}
	ss.log.Warn("Spans go to a temporary directory and are lost at the end", "directory", temporary, "because", err)
	if st, err = openDirectory(temporary, limits, ss.log); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temporary))
	}
	return &shared{Store: st, users: 1, temporary: temporary}, nil
}

func openDirectory(dir string, limits Limits, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return open(dir, limits, vfs.Default, time.Now, tickEvery, log)
}

// Close ends this use. The store is closed with its last one.
func (h *Handle) Close() (err error) {
	h.once.Do(func() {
		h.stores.mu.Lock()
		defer h.stores.mu.Unlock()
		sh := h.stores.open[h.key]
		if sh.users--; sh.users > 0 {
			return
		}
		delete(h.stores.open, h.key)
		err = sh.close()
		if sh.temporary != "" {
			err = errors.Join(err, os.RemoveAll(sh.temporary))
		}
	})
	return err
}

// Open opens the store that cfg names for reading and writing, alone.
func Open(cfg *Config, log *slog.Logger) (*Handle, error) { return NewStores(log).Open(cfg) }

var _ storage.Reader = (*Handle)(nil)
