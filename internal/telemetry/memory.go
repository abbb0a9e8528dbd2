package telemetry

import (
	"bufio"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is what the Go runtime may use of the cgroup's limit; the rest is
// for stacks of the kernel, the binary and bursts.
const memoryShare = 0.9

// SetMemoryLimit gives the Go runtime 90 % of the cgroup's memory limit and
// returns it in bytes. It does nothing and returns 0 if GOMEMLIMIT is set or
// there is no limit.
func SetMemoryLimit() int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit, ok := cgroupMemoryLimit(os.DirFS("/"))
	if !ok {
		return 0
	}
	n := int64(float64(limit) * memoryShare)
	debug.SetMemoryLimit(n)
	return n
}

// cgroupMemoryLimit returns the least memory limit in bytes of the process'
// cgroup and its parents, as far as they can be seen. It knows version 2
// (memory.max) and version 1 (memory.limit_in_bytes); root is the file system.
// Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/memory.html
func cgroupMemoryLimit(root fs.FS) (limit int64, ok bool) {
	limit = math.MaxInt64
	for _, c := range memoryCgroups(root) {
		// In a container the path is the host's, while the files of its own
		// cgroup are mounted at the top: walking up finds them either way.
		for dir := c.dir; ; dir = path.Dir(dir) {
			if n, found := readLimit(root, path.Join(c.mount, dir, c.file)); found {
				limit = min(limit, n)
			}
			if dir == "." || dir == "/" {
				break
			}
		}
	}
	// Version 1 spells "no limit" as a number near the top.
	if limit >= math.MaxInt64&^0xffff {
		return 0, false
	}
	return limit, true
}

type memoryCgroup struct{ mount, dir, file string }

// memoryCgroups parses /proc/self/cgroup: "0::/path" is version 2,
// "4:memory:/path" is version 1.
func memoryCgroups(root fs.FS) []memoryCgroup {
	f, err := root.Open("proc/self/cgroup")
	if err != nil {
		return nil
	}
	defer f.Close()
	var list []memoryCgroup
	for s := bufio.NewScanner(f); s.Scan(); {
		parts := strings.SplitN(s.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir := path.Clean(strings.TrimPrefix(parts[2], "/"))
		if strings.HasPrefix(dir, "..") {
			dir = "." // outside of what this namespace can see
		}
		if parts[0] == "0" && parts[1] == "" {
			list = append(list, memoryCgroup{"sys/fs/cgroup", dir, "memory.max"})
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "memory" {
				list = append(list, memoryCgroup{"sys/fs/cgroup/memory", dir, "memory.limit_in_bytes"})
			}
		}
	}
	return list
}

func readLimit(root fs.FS, name string) (int64, bool) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil && n > 0 // "max" is no number
}
