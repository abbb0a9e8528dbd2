package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Config is the section of an exporter of type local.
type Config struct {
	// Directory is where the spans are kept. Not set it is tallygate/spans in the user's data directory ($XDG_DATA_HOME, ~/.local/share), or a temporary one while another process has that.
	Directory string `mapstructure:"directory"`
	// TTL is how long spans are kept after they were written.
	TTL time.Duration `mapstructure:"ttl"`
	// MaxBytes bounds the size on disk; the oldest spans go first.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// MinFreeBytes is the space on the disk that is left to others: writes that would take it are refused.
	MinFreeBytes int64 `mapstructure:"min_free_bytes"`
	// QueueConfig holds spans while the disk is busy.
	QueueConfig configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// BackOffConfig repeats writes that were refused.
	BackOffConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// DefaultConfig returns the defaults: two days, 4 GiB.
func DefaultConfig() *Config {
	return &Config{
		TTL:           48 * time.Hour,
		MaxBytes:      4 << 30,
		MinFreeBytes:  256 << 20,
		QueueConfig:   configoptional.Some(exporterhelper.NewDefaultQueueConfig()),
		BackOffConfig: configretry.NewDefaultBackOffConfig(),
	}
}

// Validate returns every problem with its key.
func (c *Config) Validate() error {
	var errs []error
	if c.TTL < time.Minute {
		errs = append(errs, fmt.Errorf("ttl: %s is less than 1m", c.TTL))
	}
	if c.MaxBytes < 64<<20 {
		errs = append(errs, fmt.Errorf("max_bytes: %d is less than 67108864 (64 MiB)", c.MaxBytes))
	}
	if c.MinFreeBytes < 0 {
		errs = append(errs, fmt.Errorf("min_free_bytes: %d is negative", c.MinFreeBytes))
	}
	return errors.Join(errs...)
}

// defaultDirectory is where spans are kept if nobody says where.
func defaultDirectory() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tallygate", "spans"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "tallygate", "spans"), nil
}
