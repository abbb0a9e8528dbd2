package config

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"
)

//go:embed default.yaml
var defaultYAML string

// Default is the commented configuration of the run without flags, as `config
// init` writes it.
func Default() string { return defaultYAML }

// Sources say where a configuration comes from.
type Sources struct {
	// URIs are files or `env:NAME`, `file:path`, `yaml:text`, merged in order:
	// sections key by key, lists as a whole. None means the embedded default.
	URIs []string
	// Sets are `key.path=value` with a value in YAML, applied last.
	Sets []string
}

// Check finds what is wrong with a configuration beyond what this package
// knows. Key paths at the beginning of its messages are from the root.
type Check func(*Config) error

// Load reads, merges, decodes over the defaults and validates. The error is
// [Problems] if the sources could be read at all.
func Load(ctx context.Context, src Sources, checks ...Check) (*Config, error) {
	conf, err := src.resolve(ctx)
	if err != nil {
		return nil, err
	}
	cfg := DefaultConfig()
	tree := newTree(reflect.ValueOf(cfg))
	problems := check(conf, tree)
	if len(problems) > 0 {
		// What is of the wrong type would be reported twice, so only the
		// sections that decode are validated too.
		cfg = decodeRest(conf, tree, problems)
	} else {
		dropEmpty(conf, tree, "")
		if err := conf.Unmarshal(&cfg); err != nil {
			problems.add("", "%s", err)
			return nil, problems.err()
		}
	}
	problems.addError("", cfg.Validate())
	for _, c := range checks {
		problems.addError("", c(&cfg))
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return &cfg, nil
}

// decodeRest decodes everything but the keys with problems, so that one run
// shows all there is to mend.
func decodeRest(conf *confmap.Conf, tree *field, problems Problems) Config {
	for _, p := range problems {
		path, _, _ := strings.Cut(p.Path, "[")
		conf.Delete(strings.ReplaceAll(path, ".", confmap.KeyDelimiter))
	}
	dropEmpty(conf, tree, "")
	cfg := DefaultConfig()
	if err := conf.Unmarshal(&cfg, confmap.WithIgnoreUnused()); err != nil {
		return DefaultConfig()
	}
	return cfg
}

// dropEmpty removes sections without content: `push:` with nothing below it
// means the defaults, not zeros.
func dropEmpty(conf *confmap.Conf, f *field, path string) {
	for _, c := range f.children {
		if c.kind == leaf {
			continue
		}
		key := c.key
		if path != "" {
			key = path + confmap.KeyDelimiter + c.key
		}
		if !conf.IsSet(key) {
			continue
		}
		if conf.Get(key) == nil && !c.optional {
			conf.Delete(key)
		} else if c.kind == section {
			dropEmpty(conf, c, key)
		}
	}
}

func (src Sources) resolve(ctx context.Context) (*confmap.Conf, error) {
	uris := slices.Clone(src.URIs)
	if len(uris) == 0 {
		uris = []string{"yaml:" + defaultYAML}
	}
	var problems Problems
	for _, set := range src.Sets {
		uri, err := setURI(set)
		if err != nil {
			problems.add("", "--set %s: %s", set, err)
			continue
		}
		uris = append(uris, uri)
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	conf, err := resolve(ctx, uris)
	if err == nil {
		return conf, nil
	}
	// Say which of the sources it was.
	for i, uri := range uris {
		if _, one := resolve(ctx, []string{uri}); one != nil {
			name := uri
			if n := i - (len(uris) - len(src.Sets)); n >= 0 {
				name = "--set " + src.Sets[n]
			} else if strings.HasPrefix(uri, "yaml:") {
				name = "yaml:…"
			}
			problems.add("", "%s: %s", name, sourceError(one))
		}
	}
	if len(problems) == 0 {
		problems.add("", "%s", err)
	}
	return nil, problems.err()
}

// sourceError leaves out what confmap says around every error.
func sourceError(err error) string {
	text := strings.TrimPrefix(err.Error(), "cannot retrieve the configuration: ")
	if _, yamlError, ok := strings.Cut(text, "assuming string type since contents are not valid YAML: "); ok {
		return yamlError
	}
	return text
}

func resolve(ctx context.Context, uris []string) (*confmap.Conf, error) {
	unset := &unsetVariables{}
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              uris,
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory(), yamlprovider.NewFactory()},
		ProviderSettings:  confmap.ProviderSettings{Logger: zap.New(unset)},
		DefaultScheme:     "env",
	})
	if err != nil {
		return nil, err
	}
	conf, err := r.Resolve(ctx)
	if err := errors.Join(err, r.Shutdown(ctx), unset.err()); err != nil {
		return nil, err
	}
	return conf, nil
}

// setURI turns a.b=value into the URI of a YAML document.
func setURI(set string) (string, error) {
	path, value, ok := strings.Cut(set, "=")
	if !ok || path == "" {
		return "", errors.New("want key.path=value")
	}
	var parsed any
	if err := yaml.Unmarshal([]byte(value), &parsed); err != nil {
		return "", fmt.Errorf("the value is not YAML: %w", err)
	}
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		if key == "" {
			return "", errors.New("the key path has an empty part")
		}
		parsed = map[string]any{key: parsed}
	}
	doc, err := yaml.Marshal(parsed)
	if err != nil {
		return "", err
	}
	return "yaml:" + string(doc), nil
}

// unsetVariables is a log core that collects what the env provider only warns
// of: a variable that is not set would silently be an empty value.
type unsetVariables struct {
	zapcore.LevelEnabler
	names []string
}

func (*unsetVariables) Enabled(l zapcore.Level) bool        { return l >= zapcore.WarnLevel }
func (u *unsetVariables) With([]zapcore.Field) zapcore.Core { return u }
func (u *unsetVariables) Sync() error                       { return nil }

func (u *unsetVariables) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if u.Enabled(e.Level) {
		return ce.AddCore(e, u)
	}
	return ce
}

func (u *unsetVariables) Write(_ zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if f.Key == "name" {
			u.names = append(u.names, f.String)
		}
	}
	return nil
}

func (u *unsetVariables) err() error {
	var errs []error
	for _, name := range u.names {
		errs = append(errs, fmt.Errorf("${env:%s}: the environment variable is not set; ${env:%s:-} stands for an empty one", name, name))
	}
	return errors.Join(errs...)
}
