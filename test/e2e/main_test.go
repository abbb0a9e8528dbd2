//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/tallygate/tallygate/test/components/component"
	"github.com/tallygate/tallygate/test/testbed"
)

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare fails the whole run for what would fail its tests one by one.
func prepare() error {
	cache, err := component.Open(io.Discard)
	if err != nil {
		return err
	}
	for _, c := range component.All() {
		if _, err := cache.Installed(c.Name); err != nil {
			return err
		}
	}
	_, err = testbed.Build()
	return err
}
