package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// LogConfig is the log section of the configuration.
type LogConfig struct {
	// Level is the least level that is written: debug, info, warn or error.
	Level string `mapstructure:"level"`
	// Format is how lines are written: text (key=value) or json.
	Format string `mapstructure:"format"`
}

// DefaultLogConfig returns the defaults.
func DefaultLogConfig() LogConfig { return LogConfig{Level: "info", Format: "text"} }

// Validate returns every problem, each with its key path relative to the
// section.
func (c *LogConfig) Validate() error {
	var errs []error
	if _, err := c.level(); err != nil {
		errs = append(errs, err)
	}
	if c.Format != "text" && c.Format != "json" {
		errs = append(errs, fmt.Errorf("format: %q is not one of text, json", c.Format))
	}
	return errors.Join(errs...)
}

func (c *LogConfig) level() (slog.Level, error) {
	switch c.Level {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("level: %q is not one of debug, info, warn, error", c.Level)
}

// Log is a logger whose level can change.
type Log struct {
	*slog.Logger
	level *slog.LevelVar
}

// NewLog returns a logger that writes to w. cfg must be valid.
func NewLog(cfg LogConfig, w io.Writer) *Log {
	l := &Log{level: new(slog.LevelVar)}
	l.SetLevel(cfg)
	opts := &slog.HandlerOptions{Level: l.level}
	if cfg.Format == "json" {
		l.Logger = slog.New(slog.NewJSONHandler(w, opts))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(w, opts))
	}
	return l
}

// SetLevel changes the level to that of cfg.
func (l *Log) SetLevel(cfg LogConfig) {
	if level, err := cfg.level(); err == nil {
		l.level.Set(level)
	}
}
