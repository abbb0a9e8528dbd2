//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tallygate/tallygate/test/testbed"
)

// browser is a Chromium with the console in it.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // errors of the page: of scripts, of the policy that binds it
	weight   float64  // bytes of its files
	files    int
	foreign  []string // requests to anybody else
}

// openConsole opens the link that `tallygate console` prints.
func openConsole(t *testing.T, tg *testbed.Tallygate) *browser {
	t.Helper()
	ctx := start(t, func(ctx context.Context, b *testbed.Bed) (context.Context, error) {
		return b.StartBrowser(ctx, 1280, 800)
	})
	b := &browser{t: t, ctx: ctx}
	static := map[network.RequestID]bool{}
	listen := func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.problems = append(b.problems, fmt.Sprintf("%s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception))
		case *log.EventEntryAdded:
			// A server that goes away and an entry that is forgotten are shown.
			if ev.Entry.Level == "error" && ev.Entry.Source != "network" {
				b.problems = append(b.problems, ev.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, "http://"+tg.Admin+"/") && !strings.HasPrefix(ev.Request.URL, "data:") {
				b.foreign = append(b.foreign, ev.Request.URL)
			}
			static[ev.RequestID] = !strings.Contains(ev.Request.URL, "/api/")
		case *network.EventLoadingFinished:
			if static[ev.RequestID] {
				b.files++
				b.weight += ev.EncodedDataLength
			}
		}
	}
	if err := chromedp.Listen(ctx, listen); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	b.run(chromedp.Navigate(consoleLink(t, tg)))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the page: %s", p)
		}
		for _, u := range b.foreign {
			t.Errorf("the page asks somebody else: %s", u)
		}
		if t.Failed() {
			b.picture("failed")
		}
	})
	return b
}

func consoleLink(t *testing.T, tg *testbed.Tallygate) string {
	t.Helper()
	link, err := tg.Run(t.Context(), "console", "--server", tg.Admin, "--token-file", tg.Token)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(link)
}

// call runs a command of the protocol.
func call[P, R any](b *browser, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression is.
func eval[T any](b *browser, expr string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

// text returns what an element shows, empty if there is none.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText || ""`, selector))
}

// shows waits until an element shows all of the texts.
func (b *browser) shows(within time.Duration, selector string, texts ...string) {
	b.t.Helper()
	Eventually(b.t, within, func(context.Context) error {
		got := b.text(selector)
		for _, want := range texts {
			if !strings.Contains(got, want) {
				return fmt.Errorf("%s does not show %q but\n%s", selector, want, got)
			}
		}
		return nil
	})
}

// click clicks on the middle of an element, as people do.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// press presses a key that writes text. Unlike those of chromedp.KeyEvent, what
// it writes can be prevented, as with a keyboard.
func (b *browser) press(text, code string) {
	b.t.Helper()
	for _, typ := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: typ, Key: text, Code: code, Text: text})
	}
}

func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(width, height))
}

func (b *browser) dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
}

func (b *browser) view(name string) {
	b.t.Helper()
	eval[chromedp.Void](b, fmt.Sprintf("location.hash = '#/%s'", name))
}

// fits fails if the page is wider than the window.
func (b *browser) fits(what string) {
	b.t.Helper()
	if over := eval[float64](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
		b.t.Errorf("%s: the page is %v pixels wider than the window", what, over)
	}
}

// picture keeps what is to be seen, where TALLYGATE_SCREENSHOTS names a
// directory.
func (b *browser) picture(name string) {
	dir := os.Getenv("TALLYGATE_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("%s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Error(err)
	}
}

// pictures are those of both widths and colours.
func (b *browser) pictures(name string) {
	b.t.Helper()
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		for _, width := range []int64{1280, 390} {
			b.size(width, 800)
			b.run(chromedp.Sleep(150 * time.Millisecond)) // a frame, for the eye only
			b.fits(fmt.Sprintf("%s at %d pixels", name, width))
			b.picture(fmt.Sprintf("%s-%d-%s", name, width, map[bool]string{false: "light", true: "dark"}[dark]))
		}
	}
	b.dark(false)
	b.size(1280, 800)
}

// api asks the admin endpoint.
func api(t *testing.T, tg *testbed.Tallygate, v any, args ...string) error {
	t.Helper()
	out, err := tg.Run(t.Context(), append(args, "--server", tg.Admin, "--token-file", tg.Token, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), v)
}
