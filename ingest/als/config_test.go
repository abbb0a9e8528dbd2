package als

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	bad := Config{Identity: "lax", Decoders: -1, MaxMemoEntries: -1, ConnectionAge: -1, ConnectionAgeJitter: 2}
	err := bad.Validate()
	if err == nil {
		t.Fatal("a bad configuration is accepted")
	}
	want := `identity: "lax" is neither permissive nor strict
decoders: must not be negative
memo_entries: must be at least 16
max_memo_entries: must not be negative
connection_age: must not be negative
connection_age_jitter: must be between 0 and 1
learned::max_entries: must be positive
learned::expiry: must be positive
tcp::max_connections: must be positive
tcp::idle_timeout: must be positive`
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := New(bad, nil, discard{}, prometheus.NewRegistry(), nil); err == nil {
		t.Error("New accepts it")
	}
	if _, err := New(DefaultConfig(), nil, nil, prometheus.NewRegistry(), nil); err == nil {
		t.Error("New accepts no sink")
	}
}
