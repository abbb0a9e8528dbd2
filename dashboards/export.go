package dashboards

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Export says where to write and what the provisioned data sources point at.
type Export struct {
	Dir        string
	Prometheus string // URL; no data source of it is provisioned if empty
	Jaeger     string // URL; likewise
	// Path is where Dir will be for Grafana, if that is elsewhere: in a container.
	Path string
}

// Validate returns every problem at once, by flag.
func (e *Export) Validate() error {
	var errs []error
	if e.Dir == "" {
		errs = append(errs, errors.New("--dir: say where to write"))
	}
	for flag, text := range map[string]string{"--prometheus": e.Prometheus, "--jaeger": e.Jaeger} {
		if text == "" {
			continue
		}
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("%s: %q is not a URL such as http://prometheus:9090", flag, text))
		}
	}
	if e.Path != "" && !path.IsAbs(e.Path) {
		errs = append(errs, fmt.Errorf("--path: %q is not an absolute path", e.Path))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Write writes, below Dir, and returns the paths in order:
//
//	boards/*.json
//	provisioning/dashboards/tallygate.yaml
//	provisioning/datasources/tallygate.yaml   if there is a URL
//	prometheus/tallygate.rules.yaml
//
// Files of these names are overwritten: they are ours.
func (e *Export) Write() (written []string, err error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(e.Dir)
	if err != nil {
		return nil, err
	}
	seen := e.Path
	if seen == "" {
		seen = filepath.ToSlash(dir)
	}
	files := map[string][]byte{
		"provisioning/dashboards/tallygate.yaml": []byte(provider(path.Join(seen, "boards"))),
		"prometheus/" + RulesFile:                Rules(),
	}
	if e.Prometheus != "" || e.Jaeger != "" {
		files["provisioning/datasources/tallygate.yaml"] = []byte(e.sources())
	}
	boards := Boards()
	names, err := fs.Glob(boards, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if files["boards/"+name], err = fs.ReadFile(boards, name); err != nil {
			return nil, err
		}
	}
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return nil, err
		}
		written = append(written, file)
	}
	slices.Sort(written)
	return written, nil
}

func provider(boards string) string {
	return `# Written by tallygate dashboards export.
apiVersion: 1
providers:
  - name: tallygate
    folder: Tallygate
    type: file
    allowUiUpdates: true
    options:
      path: ` + strconv.Quote(boards) + `
`
}

// sources links exemplars of Prometheus to the traces of Jaeger.
func (e *Export) sources() string {
	var b strings.Builder
	b.WriteString("# Written by tallygate dashboards export.\napiVersion: 1\ndatasources:\n")
	if e.Prometheus != "" {
		fmt.Fprintf(&b, `  - name: Tallygate Prometheus
    uid: tallygate-prometheus
    type: prometheus
    access: proxy
    url: %q
    jsonData:
      httpMethod: POST
`, e.Prometheus)
		if e.Jaeger != "" {
			b.WriteString(`      exemplarTraceIdDestinations:
        - name: trace_id
          datasourceUid: tallygate-jaeger
`)
		}
	}
	if e.Jaeger != "" {
		fmt.Fprintf(&b, `  - name: Tallygate Jaeger
    uid: tallygate-jaeger
    type: jaeger
    access: proxy
    url: %q
`, e.Jaeger)
	}
	return b.String()
}
