//go:build e2e

package e2e

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inNetwork = "TALLYGATE_E2E_IN_NETWORK"

// ownNetwork runs the test that calls it once more, in a network of its own that
// has loopback and ip, and leads nowhere. There it returns true; here it returns
// false, and the test is over. A user namespace makes it possible without root.
func ownNetwork(t *testing.T, ip net.IP) bool {
	t.Helper()
	if os.Getenv(inNetwork) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), inNetwork+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Pdeathsig:   syscall.SIGKILL,
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		t.Logf("in a network of its own:\n%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return false
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, change := range []struct {
		name string
		set  func(*unix.Ifreq) error
		call uint
	}{
		{"lo", func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }, unix.SIOCSIFFLAGS},
		{"lo:1", func(r *unix.Ifreq) error { return r.SetInet4Addr(ip.To4()) }, unix.SIOCSIFADDR},
	} {
		r, err := unix.NewIfreq(change.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := change.set(r); err != nil {
			t.Fatal(err)
		}
		if err := unix.IoctlIfreq(fd, change.call, r); err != nil {
			t.Fatalf("setting up %s: %v", change.name, err)
		}
	}
	return true
}
