package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/policy/quota"
)

// newQuotas builds what charges the quotas of all listeners.
func newQuotas(cfg *config.Config, d *daemon, own prometheus.Registerer) (*quota.Limiter, error) {
	l, err := quota.New(cfg.Quota, quota.Options{Metrics: own, Log: d.log.Logger})
	if err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	return l, nil
}

// quotaQuestions answers what the command quota and the console ask.
func (d *daemon) quotaQuestions() *admin.Quotas {
	l := d.quotas
	answer := func(v any) any { return quotaAnswer[any]{Instance: d.instance(), Answer: v} }
	return &admin.Quotas{
		List: func() any { return answer(l.List()) },
		Top: func(quota, by string, n int) (any, error) {
			list, err := l.Top(quota, by, n)
			return answer(list), err
		},
		Get: func(quota, key string) (any, error) {
			list, err := l.Get(quota, key)
			return answer(list), err
		},
		Reset: func(quota, key string) (any, error) {
			n, err := l.Reset(quota, key)
			return answer(n), err
		},
		Explain: func(quota, key string) (any, error) { return answer(l.Explain(quota, key)), nil },
	}
}
