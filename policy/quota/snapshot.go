package quota

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tallygate/tallygate/mesh"
)

// A snapshot is a file, so that a restart is no amnesty:
//
//	magic ‖ specs: count, each algorithm n per burst name ‖ overflow: until n of each
//	‖ slots: count, each id until n spec charges over key ‖ SHA-256 of all that
//
// Integers are little-endian, strings have their length before them. What is
// idle is left out.
const snapshotMagic = "tallygate quota snapshot 1\n"

var errDamaged = errors.New("it is damaged or of another version")

// saveSnapshot writes the states to path, whole or not at all.
func (s *local) saveSnapshot(path string, now int64) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	sum := sha256.New()
	w := bufio.NewWriterSize(f, 1<<16)
	err = s.writeSnapshot(io.MultiWriter(w, sum), now)
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (s *local) writeSnapshot(w io.Writer, now int64) error {
	// The states first: what comes to them later may have specs that are not
	// written.
	slots := s.live(now)
	s.overflow.Lock()
	overflow := append([]state(nil), s.overflow.states...)
	s.overflow.Unlock()
	s.register.mu.RLock()
	specs := s.register.specs
	s.register.mu.RUnlock()

	b := append([]byte(nil), snapshotMagic...)
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(len(specs)))
	for i := range specs {
		p := &specs[i]
		b = append(b, byte(p.algorithm))
		b = le.AppendUint64(le.AppendUint64(le.AppendUint64(b, p.n), p.per), p.burst)
		b = append(le.AppendUint64(b, uint64(len(p.name))), p.name...)
	}
	b = le.AppendUint64(b, uint64(min(len(overflow), len(specs))))
	for _, o := range overflow[:min(len(overflow), len(specs))] {
		b = le.AppendUint64(le.AppendUint64(b, uint64(o.until)), o.n)
	}
	b = le.AppendUint64(b, uint64(len(slots)))
	for i := range slots {
		p := &slots[i]
		b = append(b, p.id[:]...)
		b = le.AppendUint64(le.AppendUint64(b, uint64(p.until)), p.n)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, p.spec), p.charges), p.over)
		b = append(append(b, p.length), p.text[:p.length]...)
		if len(b) >= 1<<16 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

// live returns the slots that are not idle.
func (s *local) live(now int64) []slot {
	var list []slot
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		for j := range sh.slots {
			if p := &sh.slots[j]; p.spec != 0 && !p.idle(now) {
				list = append(list, *p)
			}
		}
		sh.Unlock()
	}
	return list
}

// loadSnapshot restores what saveSnapshot wrote; nobody charges yet. restored is
// how many keys found room. Nothing is restored of a file that is not whole.
func (s *local) loadSnapshot(path string, now int64) (restored int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	end := len(b) - sha256.Size
	if end < len(snapshotMagic) || !bytes.HasPrefix(b, []byte(snapshotMagic)) {
		return 0, errDamaged
	}
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return 0, errDamaged
	}
	d := &decoder{b: b[len(snapshotMagic):end]}
	specs := make([]uint32, 0, 64) // theirs to ours
	for range d.count() {
		p := limit{algorithm: mesh.Algorithm(d.byte()), n: d.uint64(), per: d.uint64(), burst: d.uint64()}
		name := d.text(d.count())
		switch n := len(specs); {
		case d.bad || p.algorithm > mesh.FixedWindow:
			return 0, errDamaged
		case n < 2:
			specs = append(specs, uint32(n)) // none, and those beyond the bound
		default:
			specs = append(specs, s.register.spec(name, p))
		}
	}
	for i := range d.count() {
		o := state{int64(d.uint64()), d.uint64()}
		if d.bad || i >= len(specs) {
			return 0, errDamaged
		}
		*s.overflowState(specs[i]) = o
	}
	for range d.count() {
		var p slot
		copy(p.id[:], d.bytes(len(p.id)))
		p.state = state{int64(d.uint64()), d.uint64()}
		spec := d.uint32()
		p.charges, p.over = d.uint32(), d.uint32()
		p.length = d.byte()
		if d.bad || int(spec) >= len(specs) || spec == 0 || int(p.length) > len(p.text) {
			return restored, errDamaged
		}
		p.spec = specs[spec]
		copy(p.text[:], d.bytes(int(p.length)))
		if p.idle(now) {
			continue
		}
		h := s.hash(&p.id)
		t := &s.shards[shardOf(h)].table
		to := t.find(&p.id, h)
		if to == nil {
			to = t.add(&p.id, h, now, s.hash)
		}
		if to == nil {
			s.lost.Add(1)
			continue
		}
		*to = p
		restored++
	}
	if d.bad {
		return restored, errDamaged
	}
	return restored, nil
}

// decoder reads what was appended; bad once there was too little.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads a number of things, none of which is shorter than a byte.
func (d *decoder) count() int {
	n := d.uint64()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) text(n int) string { return string(d.bytes(n)) }

// restore reads the snapshot that is configured, if there is one.
func (l *Limiter) restore() {
	path := l.cfg.Load().Local.SnapshotFile
	if path == "" {
		return
	}
	n, err := l.local.loadSnapshot(path, l.now())
	switch {
	case err == nil:
		l.log.Info("Quotas restored", "file", path, "keys", n)
	case errors.Is(err, os.ErrNotExist):
		l.log.Info("No quotas to restore", "file", path)
	default:
		l.snapshotErrors.Add(1)
		l.log.Warn("The quotas of the last run cannot be restored: every key begins with a full quota", "file", path, "err", err)
	}
}

// save writes the snapshot that is configured, if there is one.
func (l *Limiter) save() error {
	path := l.cfg.Load().Local.SnapshotFile
	if path == "" {
		return nil
	}
	if err := l.local.saveSnapshot(path, l.now()); err != nil {
		l.snapshotErrors.Add(1)
		return fmt.Errorf("saving the quotas: %w", err)
	}
	return nil
}
