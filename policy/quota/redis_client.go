package quota

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tallygate/tallygate/mesh"
)

//go:embed redis_script.lua
var redisScript string

var redisScriptSHA = func() string {
	sum := sha1.Sum([]byte(redisScript))
	return hex.EncodeToString(sum[:])
}()

// redisTags is over how many hash tags, and so parts of a Cluster, keys are
// spread. It is part of the keys: never to be changed.
const redisTags = 16

// op is what Redis is to do with a key.
type op byte

const (
	opTake     op = 't'
	opOverdraw op = 'o'
	opRefund   op = 'r'
	opForget   op = 'd'
)

// item is one key of a batch: see redis_script.lua.
type item struct {
	op    op
	group uint64
	id    mesh.QuotaID
	limit limit
	want  uint64
	least int64
}

// reply is what Redis says to an item.
type reply struct {
	taken, left  uint64
	reset, retry time.Duration
	end          int64 // of a window, Redis' microseconds
	err          error
}

// redisClient runs batches of items on a Redis.
type redisClient struct {
	cfg    RedisConfig
	option rueidis.ClientOption
	client atomic.Pointer[rueidis.Client] // nil before the first connection
}

func newRedisClient(cfg RedisConfig) (*redisClient, error) {
	tc, err := cfg.TLS.config()
	if err != nil {
		return nil, fmt.Errorf("redis.tls.%w", err)
	}
	o := rueidis.ClientOption{
		InitAddress: cfg.Addresses, Username: cfg.Username, Password: string(cfg.Password), SelectDB: cfg.DB,
		TLSConfig: tc, ClientName: "tallygate", DisableCache: true, DisableRetry: true,
		// A connection that says nothing for so long is dead.
		Dialer:           net.Dialer{Timeout: time.Second, KeepAlive: time.Second},
		ConnWriteTimeout: max(time.Second, 10*cfg.Timeout),
		AlwaysPipelining: true,
	}
	switch cfg.Mode {
	case RedisSentinel:
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: cfg.MasterName, Username: cfg.SentinelUsername, Password: string(cfg.SentinelPassword), TLSConfig: tc, ClientName: "tallygate",
		}
	case RedisStandalone:
		o.ForceSingleClient = true
	}
	return &redisClient{cfg: cfg, option: o}, nil
}

// connect connects if that was not yet possible, and asks for an answer.
func (c *redisClient) connect(ctx context.Context) error {
	p := c.client.Load()
	if p == nil {
		client, err := rueidis.NewClient(c.option)
		if err != nil {
			return err
		}
		p = &client
		c.client.Store(p)
	}
	// One that may write, not only one that answers: a replica, or a master
	// without a quorum, is no source.
	for _, r := range c.run(ctx, []item{{op: opForget, id: probeID, limit: limit{n: 1, per: uint64(time.Second), burst: 1}}}) {
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// probeID is a key that nobody counts.
var probeID = mesh.QuotaID{0xff, 'p', 'r', 'o', 'b', 'e'}

func (c *redisClient) close() {
	if p := c.client.Load(); p != nil {
		(*p).Close()
	}
}

// key is of fixed size, whatever users call themselves.
func (c *redisClient) key(id *mesh.QuotaID) string {
	b := make([]byte, 0, len(c.cfg.KeyPrefix)+30)
	b = append(append(b, c.cfg.KeyPrefix...), ":{q"...)
	b = strconv.AppendUint(b, uint64(tagOf(id)), 16)
	b = append(b, "}:"...)
	return string(base64.RawURLEncoding.AppendEncode(b, id[:]))
}

func tagOf(id *mesh.QuotaID) int { return int(id[0] % redisTags) }

var errNotConnected = errors.New("not connected")

// scriptItems is how many items one call of the script has at most: Redis answers
// nobody else meanwhile.
const scriptItems = 512

// cut cuts a part into calls of the script. A group stays together.
func cut(items []item, part []int) (calls [][]int) {
	for len(part) > 0 {
		n := min(len(part), scriptItems)
		for n < len(part) && items[part[n]].group != 0 && items[part[n]].group == items[part[n-1]].group {
			n++
		}
		calls = append(calls, part[:n:n])
		part = part[n:]
	}
	return calls
}

// run runs items in one round trip: in one step of a server for each call of the
// script, of which a Cluster needs one for each tag.
func (c *redisClient) run(ctx context.Context, items []item) []reply {
	replies := make([]reply, len(items))
	p := c.client.Load()
	if p == nil {
		for i := range replies {
			replies[i].err = errNotConnected
		}
		return replies
	}
	client := *p
	parts := [][]int{nil}
	if c.cfg.Mode == RedisCluster {
		parts = make([][]int, redisTags)
	}
	for i := range items {
		part := &parts[0]
		if len(parts) > 1 {
			part = &parts[tagOf(&items[i].id)]
		}
		*part = append(*part, i)
	}
	var calls [][]int
	for _, part := range parts {
		calls = append(calls, cut(items, part)...)
	}
	commands := make(rueidis.Commands, len(calls))
	for i, part := range calls {
		commands[i] = c.command(client, items, part, false)
	}
	var again [][]int
	for i, res := range client.DoMulti(ctx, commands...) {
		if e, ok := rueidis.IsRedisErr(res.Error()); ok && e.IsNoScript() {
			again = append(again, calls[i])
			continue
		}
		read(res, calls[i], replies)
	}
	if len(again) > 0 { // a Redis that has not seen the script, after its restart
		commands = commands[:0]
		for _, part := range again {
			commands = append(commands, c.command(client, items, part, true))
		}
		for i, res := range client.DoMulti(ctx, commands...) {
			read(res, again[i], replies)
		}
	}
	return replies
}

func (c *redisClient) command(client rueidis.Client, items []item, part []int, whole bool) rueidis.Completed {
	keys, args := make([]string, 0, len(part)), make([]string, 0, 8*len(part))
	for _, i := range part {
		it := &items[i]
		keys = append(keys, c.key(&it.id))
		args = append(args, c.args(it)...)
	}
	if whole {
		return client.B().Eval().Script(redisScript).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	}
	return client.B().Evalsha().Sha1(redisScriptSHA).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

// args are those of one item.
func (c *redisClient) args(it *item) []string {
	algorithm, n, per := "g", it.limit.n, (it.limit.per+999)/1000
	if it.limit.algorithm == mesh.FixedWindow {
		algorithm = "w"
	} else if g := gcd(n, per); g > 1 { // so that products are exact
		n, per = n/g, per/g
	}
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return []string{string(it.op), u(it.group), algorithm, u(n), u(per), u(it.limit.burst), u(min(it.want, 1<<52)), strconv.FormatInt(min(it.least, 1<<52), 10)}
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

const replyInts = 5

func read(res rueidis.RedisResult, part []int, replies []reply) {
	ints, err := res.AsIntSlice()
	if err == nil && len(ints) != replyInts*len(part) {
		err = fmt.Errorf("the script returned %d numbers for %d keys", len(ints), len(part))
	}
	for j, i := range part {
		if err != nil {
			replies[i].err = err
			continue
		}
		n := ints[replyInts*j:]
		us := func(n int64) time.Duration { return time.Duration(max(0, n)) * time.Microsecond }
		replies[i] = reply{taken: uint64(max(0, n[0])), left: uint64(max(0, n[1])), reset: us(n[2]), retry: us(n[3]), end: n[4]}
	}
}

// reason names a failure for metrics.
func reason(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, errNotConnected):
		return "not_connected"
	}
	if e, ok := rueidis.IsRedisErr(err); ok {
		code, _, _ := strings.Cut(e.Error(), " ")
		switch code {
		case "NOAUTH", "WRONGPASS", "NOPERM":
			return "auth"
		case "READONLY", "MASTERDOWN", "LOADING", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN":
			return "failover"
		case "OOM":
			return "oom"
		}
		return "answer"
	}
	return "connection"
}

// jitter spreads d over half of it to one and a half times it: a fleet that lost
// its Redis together must not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
