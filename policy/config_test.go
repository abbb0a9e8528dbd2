package policy

import "testing"

func TestValidate(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := DefaultConfig()
		change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) {
		c.EvaluationTimeout, c.MaxEvaluations = 0, 0
		c.Cache = CacheConfig{MaxTTL: -1}
		c.DecisionLog = LogConfig{Sinks: []string{"stdout", "file:", "syslog"}, InputSample: 2, Keep: -1}
		c.Shadow.Share = -0.5
	}, `evaluation_timeout: 0s is not more than 0
max_evaluations: 0 is not more than 0
cache.max_size_mib: 0 is not more than 0
cache.max_key_bytes: 0 is not more than 0
cache.max_ttl: -1ns is negative
decision_log.sinks[1]: "file:" is not stdout, file:<path> or opa
decision_log.sinks[2]: "syslog" is not stdout, file:<path> or opa
decision_log.keep: -1 is negative
decision_log.queue_size: 0 is not more than 0
decision_log.input_sample: 2 is not between 0 and 1
shadow.share: -0.5 is not between 0 and 1`)
}
