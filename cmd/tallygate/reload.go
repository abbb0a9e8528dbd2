package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/internal/config"
)

// reload reads the configuration again and applies what has changed, whole or
// not at all, and says how it went in the log and the metrics.
func (d *daemon) reload(ctx context.Context, failed chan<- error) {
	changes, err := d.tryReload(ctx, failed)
	d.reloads.Record(err)
	if err != nil {
		d.log.Error("Reload refused; the configuration stays as it is", "err", err)
		return
	}
	d.log.Info("Configuration reloaded", "changed", paths(changes))
}

func (d *daemon) tryReload(ctx context.Context, failed chan<- error) ([]config.Change, error) {
	before := d.cfg.Load()
	after, err := loadConfig(ctx, d.src)
	if err != nil {
		return nil, err
	}
	changes := config.Diff(before, after)
	if keys := config.Restart(changes); len(keys) > 0 {
		for i, key := range keys {
			if at := d.src.Locate(key); at != "" {
				keys[i] += " (" + at + ")"
			}
		}
		return nil, fmt.Errorf("needs restart: %s", strings.Join(keys, ", "))
	}
	useCertificates, err := d.prepareCertificates(after)
	if err != nil {
		return nil, err
	}

	// What can still fail comes first, and is undone.
	undo, err := d.reloadPolicy(ctx, before, after)
	if err != nil {
		return nil, err
	}
	push := touched(changes, "exporters", "extensions", "push")
	if push {
		if err := d.pushing.replace(before, after, failed); err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	if d.tracing != nil && touched(changes, "exporters", "extensions", "spans") {
		if err := d.tracing.reload(before, after, otherExporters(before, after, changes)); err != nil {
			if push {
				err = fmt.Errorf("%w; going back to the old exporters: %w", err, d.pushing.replace(after, before, failed))
			}
			return nil, errors.Join(err, undo())
		}
	}
	if touched(changes, "labels", "red") && d.als != nil {
		if err := d.reconfigure(after, touched(changes, "labels")); err != nil {
			if push {
				err = fmt.Errorf("%w; going back to the old exporters: %w", err, d.pushing.replace(after, before, failed))
			}
			return nil, errors.Join(err, undo())
		}
	}
	if touched(changes, "exporters") {
		if err := d.storing.reload(after); err != nil {
			d.log.Warn("The query API keeps reading the store that it has", "err", err)
		}
	}
	if d.quotas != nil {
		if err := d.quotas.Reconfigure(after.Quota); err != nil { // it was validated
			d.log.Error("Quotas are charged as before", "err", err)
		}
	}
	if d.tap != nil {
		if err := d.tap.Reconfigure(after.Tap); err != nil { // it was validated
			d.log.Error("The tap stays as it is", "err", err)
		}
	}
	useCertificates()
	d.log.SetLevel(after.Log)
	d.cfg.Store(after)
	return changes, nil
}

// reloadPolicy changes the policy plane. undo takes that back.
func (d *daemon) reloadPolicy(ctx context.Context, before, after *config.Config) (undo func() error, err error) {
	undo = func() error { return nil }
	if d.policing != nil {
		if err := d.policing.reload(ctx, before, after); err != nil {
			return nil, err
		}
		undo = func() error { return d.policing.reload(ctx, after, before) }
	}
	if d.limiting == nil {
		return undo, nil
	}
	if err := d.limiting.reload(before, after); err != nil {
		return nil, errors.Join(err, undo())
	}
	policy := undo
	return func() error { return errors.Join(policy(), d.limiting.reload(after, before)) }, nil
}

// reconfigure changes the table, and the labels at both of its ends.
func (d *daemon) reconfigure(after *config.Config, labels bool) error {
	if !labels {
		return d.table.Reconfigure(after.RED, after.Labels)
	}
	return d.als.SetLabels(after.Labels, func() error { return d.table.Reconfigure(after.RED, after.Labels) })
}

// prepareCertificates reads the certificates of every listener, also of those
// whose keys are the same: the files may not be.
func (d *daemon) prepareCertificates(after *config.Config) (use func(), err error) {
	var apply []func()
	var errs []error
	prepare := func(l interface {
		PrepareTLS(ingest.TLSConfig) (func(), error)
	}, cfg ingest.TLSConfig) {
		a, err := l.PrepareTLS(cfg)
		apply, errs = append(apply, a), append(errs, err)
	}
	if d.als != nil {
		prepare(d.alsListener, after.Ingest.ALS.TLS)
		prepare(d.metricsListener, after.Prometheus.TLS)
		if q := after.Query.Get(); q != nil && d.storing != nil && d.storing.listener != nil {
			prepare(d.storing.listener, q.TLS)
		}
	}
	if d.policing != nil {
		prepare(d.policing.listener, after.Ingest.ExtAuthz.TLS)
		if f := after.Ingest.ForwardAuth.Get(); f != nil && d.policing.forward != nil {
			prepare(d.policing.forward, f.TLS)
		}
	}
	if d.limiting != nil {
		prepare(d.limiting.listener, after.Ingest.RateLimit.TLS)
	}
	prepare(d.admin, after.Admin.TLS)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return func() {
		for _, a := range apply {
			a()
		}
	}, nil
}

// otherExporters reports whether spans are to be sent in another way. What is only
// sampled otherwise needs no new exporters.
func otherExporters(before, after *config.Config, changes []config.Change) bool {
	return touched(changes, "exporters", "extensions") || before.Spans.Queue != after.Spans.Queue ||
		!slices.Equal(before.Spans.Exporters, after.Spans.Exporters)
}

// touched reports whether a change is in one of the top-level sections.
func touched(changes []config.Change, sections ...string) bool {
	return slices.ContainsFunc(changes, func(c config.Change) bool {
		top, _, _ := strings.Cut(c.Path, ".")
		return slices.Contains(sections, top)
	})
}

func paths(changes []config.Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Path
	}
	return list
}
