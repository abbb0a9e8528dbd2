package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// partitionsPerTTL is how finely old spans go: the last of a partition goes up to
// a 16th of ttl late, and by size a 16th of all goes at once.
const partitionsPerTTL = 16

// partition returns the partition to write to, a new one if the time of the
// latest is over. What waits in the latest is sealed first, so that it goes with
// the others of its time.
func (s *Store) partition() (*partition, error) {
	limits := s.limits.Load()
	now := s.now()
	last := s.latest()
	if last != nil && now.Sub(last.begun) < limits.TTL/partitionsPerTTL && last.written < limits.MaxBytes/partitionsPerTTL {
		return last, nil
	}
	p := &partition{begun: now, operations: map[string]struct{}{}}
	if last != nil {
		if err := s.seal(true); err != nil {
			return nil, err
		}
		p.id = last.id + 1
	}
	begun := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro()))
	if err := s.db.Set(partitionKey(p.id), begun, pebble.Sync); err != nil {
		return nil, fmt.Errorf("local store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions = append(s.partitions, p)
	return p, nil
}

// expire drops partitions that are too old, and the oldest while all together
// are too large.
func (s *Store) expire() error {
	limits := s.limits.Load()
	for len(s.partitions) > 1 {
		// The last span of a partition is as old as the beginning of the next.
		old := s.now().Sub(s.partitions[1].begun) > limits.TTL
		if !old {
			size, err := s.size()
			if err != nil {
				return err
			}
			if size <= limits.MaxBytes {
				return nil
			}
		}
		if err := s.drop(s.partitions[0]); err != nil {
			return err
		}
	}
	return s.expireLast(limits.TTL)
}

// expireLast drops the only partition if nothing came for so long that all in it
// is too old.
func (s *Store) expireLast(ttl time.Duration) error {
	p := s.latest()
	if p == nil || len(s.waiting) > 0 || s.now().Sub(p.begun) <= ttl+ttl/partitionsPerTTL {
		return nil
	}
	return s.drop(p)
}

// drop removes the partition, which is the first.
func (s *Store) drop(p *partition) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := errors.Join(
		batch.DeleteRange(partitionStart(p.id), partitionStart(p.id+1), nil),
		batch.Delete(partitionKey(p.id), nil),
		batch.Commit(pebble.Sync),
	); err != nil {
		return fmt.Errorf("local store: dropping old spans: %w", err)
	}
	s.Stats.Expired.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions = append([]*partition{}, s.partitions[1:]...)
	return nil
}

// size is what the partitions take on disk, give or take what is in memory.
func (s *Store) size() (int64, error) {
	n, err := s.db.EstimateDiskUsage([]byte{'p'}, []byte{'p' + 1})
	if err != nil {
		return 0, fmt.Errorf("local store: measuring: %w", err)
	}
	return int64(n), nil
}

// checkSpace refuses to take the last of the disk.
func (s *Store) checkSpace() error {
	need := s.limits.Load().MinFreeBytes
	if need == 0 {
		return nil
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return nil // a file system that cannot tell
	}
	if usage.AvailBytes < uint64(need) {
		return fmt.Errorf("local store: %d bytes are free on the disk of %s, less than min_free_bytes", usage.AvailBytes, s.dir)
	}
	return nil
}
