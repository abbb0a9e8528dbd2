package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

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
