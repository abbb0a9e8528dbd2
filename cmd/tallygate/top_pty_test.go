package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a new terminal.
func openPTY(t *testing.T) (ours, its *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	its, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { its.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return ours, its
}

// In a real terminal top draws, takes keys, and leaves it as it was.
func TestTopInTerminal(t *testing.T) {
	p := startProc(t, "")
	report(t, p, 200, 200, 503)
	p.until("the history has them", func() bool {
		out, _, err := p.ask("edges")
		return err == nil && strings.Contains(out, "a.shop")
	})
	ours, its := openPTY(t)
	before, err := unix.IoctlGetTermios(int(its.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "top", "--since", "1m", "--interval", "500ms", "--server", p.daemon.admin.Addr().String(), "--token-file", tokenFile(t))
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = its, its, its
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	screen := &safeBuffer{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := ours.Read(buf)
			_, _ = screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	shows := func(want string) {
		t.Helper()
		until(t, "the screen shows "+want, func() bool { return strings.Contains(screen.String(), want) })
	}
	press := func(keys string) {
		t.Helper()
		if _, err := ours.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	shows(enterScreen)
	shows("a.shop")
	shows("33.3")
	shows("\x1b[31m") // a third fails: red
	press("e")
	shows("sorted by errors")
	press("/nobody\r")
	shows("No edge has nobody")
	press("/\x1b")
	press("\r")
	shows("a.shop → b.shop")
	shows("/cart?token=[masked]")
	press("q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("q: %v", err)
	}
	shows(leaveScreen)
	after, err := unix.IoctlGetTermios(int(its.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal is not as it was: %+v; want %+v", after, before)
	}
	its.Close()
	ours.Close()
	<-read
}
