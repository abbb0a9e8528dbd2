package opa

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/logging"
)

// logger lets OPA's plugins log where we do.
type logger struct{ log *slog.Logger }

func newLogger(log *slog.Logger) logging.Logger { return logger{log} }

func (l logger) write(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

func (l logger) Debug(format string, args ...any) { l.write(slog.LevelDebug, format, args) }
func (l logger) Info(format string, args ...any)  { l.write(slog.LevelInfo, format, args) }
func (l logger) Warn(format string, args ...any)  { l.write(slog.LevelWarn, format, args) }
func (l logger) Error(format string, args ...any) { l.write(slog.LevelError, format, args) }

func (l logger) WithFields(fields map[string]any) logging.Logger {
	args := make([]any, 0, 2*len(fields))
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, k, fields[k])
	}
	return logger{l.log.With(args...)}
}

func (l logger) GetLevel() logging.Level {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return logging.Debug
	}
	return logging.Info
}

// SetLevel does nothing: the level is the configuration's.
func (l logger) SetLevel(logging.Level) {}
