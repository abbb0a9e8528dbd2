package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that the bed started, in a process group of its own.
type Process struct {
	Name    string
	LogPath string // what it wrote to stdout and stderr

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of the exit, once done is closed
}

// spawn starts commands on a thread that lives as long as we do: the death
// signal of a child comes when the thread that started it ends.
var spawn = sync.OnceValue(func() func(*exec.Cmd) error {
	type request struct {
		cmd *exec.Cmd
		err chan<- error
	}
	requests := make(chan request)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.err <- r.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		err := make(chan error)
		requests <- request{cmd, err}
		return <-err
	}
})

// Start runs a program until the bed is closed. env is added to our own
// environment. ctx limits only the start.
func (b *Bed) Start(ctx context.Context, name string, env []string, program string, args ...string) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name = b.unique(name)
	log, err := os.Create(filepath.Join(b.Dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := spawn()(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{Name: name, LogPath: log.Name(), cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	b.mu.Lock()
	b.procs = append(b.procs, p)
	b.mu.Unlock()
	b.onClose(func() error { return p.Stop(10 * time.Second) })
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to the process, not to its group. A process that has
// ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Pause stops the process where it stands, until Resume.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Kill ends the process and its group at once and waits for it.
func (p *Process) Kill() error {
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.done
	return nil
}

// Stop asks the process to end (SIGTERM) and kills what has not ended after
// grace, which is an error.
func (p *Process) Stop(grace time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := errors.Join(p.Signal(syscall.SIGTERM), p.Resume()); err != nil {
		return err
	}
	select {
	case <-p.done:
		// Helpers that it left behind.
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		return nil
	case <-time.After(grace):
		return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM", p.Name, grace), p.Kill())
	}
}

// Exit returns how the process ended, nil for status 0; it must have ended.
func (p *Process) Exit() error {
	<-p.done
	return p.err
}

// Log returns the end of what the process wrote, at most n bytes.
func (p *Process) Log(n int) string {
	b, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// RSS returns the resident memory now and its peak, in bytes.
func (p *Process) RSS() (now, peak int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			now = kb << 10
		case "VmHWM:":
			peak = kb << 10
		}
	}
	return now, peak, nil
}

// until polls ready until it returns nil. It gives up when the process ends or
// ctx does, with the last error and the end of the log.
func (p *Process) until(ctx context.Context, what string, ready func(context.Context) error) error {
	err := Poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-p.done:
			return Permanent(fmt.Errorf("it ended: %v", p.cmd.ProcessState))
		default:
			return ready(ctx)
		}
	})
	if err != nil {
		return fmt.Errorf("waiting until %s %s: %w\n%s", p.Name, what, err, p.Log(4000))
	}
	return nil
}
