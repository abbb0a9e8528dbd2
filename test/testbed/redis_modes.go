package testbed

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// RedisCluster is three masters that share the slots.
type RedisCluster struct{ Nodes []*Redis }

// StartRedisCluster starts a Cluster without replicas and waits until every node
// knows all slots.
func (b *Bed) StartRedisCluster(ctx context.Context) (*RedisCluster, error) {
	c := &RedisCluster{}
	for i := range 3 {
		n, err := b.StartRedisWith(ctx, "--cluster-enabled", "yes", "--cluster-config-file", b.unique("nodes")+".conf", "--cluster-node-timeout", "2000")
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
		if err := n.ok(ctx, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*16384/3, (i+1)*16384/3-1)); err != nil {
			return nil, err
		}
	}
	host, port, err := net.SplitHostPort(c.Nodes[0].Addr)
	if err != nil {
		return nil, err
	}
	for _, n := range c.Nodes[1:] {
		if err := n.ok(ctx, "CLUSTER MEET "+host+" "+port); err != nil {
			return nil, err
		}
	}
	for _, n := range c.Nodes {
		err := n.until(ctx, "knows all slots", func(ctx context.Context) error {
			info, err := n.Bulk(ctx, "CLUSTER INFO")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3")) {
				err = fmt.Errorf("%s", info)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Addrs are those of all nodes.
func (c *RedisCluster) Addrs() (addrs []string) {
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr)
	}
	return addrs
}

// Move moves the slot of a key from one node to another while clients go on.
func (c *RedisCluster) Move(ctx context.Context, slot int, from, to *Redis) error {
	ids := map[*Redis]string{}
	for _, n := range c.Nodes {
		id, err := n.Bulk(ctx, "CLUSTER MYID")
		if err != nil {
			return err
		}
		ids[n] = strings.TrimSpace(id)
	}
	steps := []struct {
		at      *Redis
		command string
	}{
		{to, fmt.Sprintf("CLUSTER SETSLOT %d IMPORTING %s", slot, ids[from])},
		{from, fmt.Sprintf("CLUSTER SETSLOT %d MIGRATING %s", slot, ids[to])},
	}
	for _, s := range steps {
		if err := s.at.ok(ctx, s.command); err != nil {
			return err
		}
	}
	host, port, err := net.SplitHostPort(to.Addr)
	if err != nil {
		return err
	}
	for {
		keys, err := from.Bulk(ctx, fmt.Sprintf("CLUSTER GETKEYSINSLOT %d 1", slot))
		if err != nil {
			return err
		}
		key := strings.TrimSpace(keys)
		if key == "" {
			break
		}
		if answer, err := from.Do(ctx, fmt.Sprintf("MIGRATE %s %s %s 0 1000 REPLACE", host, port, key)); err != nil || answer != "+OK" && answer != "+NOKEY" {
			return fmt.Errorf("MIGRATE: %s %w", answer, err)
		}
	}
	for _, n := range []*Redis{to, from} {
		if err := n.ok(ctx, fmt.Sprintf("CLUSTER SETSLOT %d NODE %s", slot, ids[to])); err != nil {
			return err
		}
	}
	return nil
}

// RedisFailover is a master with a replica and a Sentinel that watches both.
type RedisFailover struct {
	Master, Replica, Sentinel *Redis
}

// StartRedisFailover starts them under a name for the master, and waits until the
// Sentinel knows the replica.
func (b *Bed) StartRedisFailover(ctx context.Context, name string) (*RedisFailover, error) {
	f := &RedisFailover{}
	var err error
	if f.Master, err = b.StartRedis(ctx); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(f.Master.Addr)
	if err != nil {
		return nil, err
	}
	if f.Replica, err = b.StartRedisWith(ctx, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0"); err != nil {
		return nil, err
	}
	file := filepath.Join(b.Dir, b.unique("sentinel")+".conf")
	conf := fmt.Sprintf("sentinel monitor %s %s %s 1\nsentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 2000\n", name, host, port, name, name)
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	if f.Sentinel, err = b.startRedis(ctx, []string{file, "--sentinel"}); err != nil {
		return nil, err
	}
	return f, f.Sentinel.until(ctx, "knows the replica", func(ctx context.Context) error {
		info, err := f.Sentinel.Bulk(ctx, "INFO sentinel")
		if err == nil && !strings.Contains(info, "slaves=1") {
			err = fmt.Errorf("%s", info)
		}
		return err
	})
}
