package opa

import (
	"runtime"
	"testing"
)

func TestSpareIsGivenBack(t *testing.T) {
	for _, env := range []string{"", "3"} {
		t.Setenv("GOMAXPROCS", env)
		if env == "" {
			runtime.SetDefaultGOMAXPROCS()
		}
		before := runtime.GOMAXPROCS(0)
		end := spare()
		if got := runtime.GOMAXPROCS(0); got != before+2 {
			t.Errorf("GOMAXPROCS=%q: %d processors while there is work, want %d", env, got, before+2)
		}
		end()
		if got := runtime.GOMAXPROCS(0); got != before {
			t.Errorf("GOMAXPROCS=%q: %d processors afterwards, want %d", env, got, before)
		}
	}
}
