package testbed

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// StartBrowser starts a real Chromium without a window and returns a context for
// chromedp, with one tab.
func (b *Bed) StartBrowser(ctx context.Context, width, height int) (context.Context, error) {
	in, err := b.Cache.Installed("chromium")
	if err != nil {
		return nil, err
	}
	dir, err := b.mkdir(b.unique("chromium"))
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(in.Path("chromium-headless-shell")),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.WindowSize(width, height),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Env(append(in.Env(), "FONTCONFIG_FILE="+filepath.Join(in.Path(""), "etc", "fonts.conf"), "XDG_CACHE_HOME="+dir, "HOME="+dir)...),
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.WithoutCancel(ctx), opts...)
	tab, cancel := chromedp.NewContext(allocator)
	b.onClose(func() error {
		err := chromedp.Cancel(tab)
		cancel()
		cancelAllocator()
		return ignoreMissing(os.RemoveAll(filepath.Join(dir, "profile")), err)
	})
	return tab, chromedp.Do(tab)
}

// ignoreMissing is the first error that is one: a browser that has ended by
// itself is closed, too.
func ignoreMissing(errs ...error) error {
	for _, err := range errs {
		if err != nil && err != context.Canceled {
			return err
		}
	}
	return nil
}
