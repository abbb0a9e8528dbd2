package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tallygate/tallygate/internal/config"
)

// packages hold the types that a configuration is made of.
var packages = []string{
	"github.com/tallygate/tallygate/mesh",
	"github.com/tallygate/tallygate/red",
	"github.com/tallygate/tallygate/ingest",
	"github.com/tallygate/tallygate/ingest/als",
	"github.com/tallygate/tallygate/ingest/extauthz",
	"github.com/tallygate/tallygate/policy",
	"github.com/tallygate/tallygate/policy/opa",
	"github.com/tallygate/tallygate/exporters/prometheus",
	"github.com/tallygate/tallygate/exporters/push",
	"github.com/tallygate/tallygate/internal/admin",
	"github.com/tallygate/tallygate/internal/config",
	"github.com/tallygate/tallygate/internal/telemetry",
	"go.opentelemetry.io/collector/config/configtls",
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

func readComments(root string) (config.Comments, error) {
	cmd := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, packages...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, &stderr)
	}
	comments := config.Comments{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := readPackage(comments, path, dir); err != nil {
			return nil, err
		}
	}
	maps.Copy(comments, listenerTLS)
	return comments, nil
}

// listenerTLS says what the Collector's TLS keys do here, where that differs
// from what their comments say.
var listenerTLS = func() config.Comments {
	const at = "go.opentelemetry.io/collector/config/configtls."
	return config.Comments{
		at + "Config.CAFile":                   "Refused: it verifies servers. Clients are verified by client_ca_file.",
		at + "Config.CAPem":                    "Refused: it verifies servers. Clients are verified by client_ca_file.",
		at + "Config.CertFile":                 "Path to the certificate in PEM, with its intermediates.",
		at + "Config.CertPem":                  "The certificate itself, in PEM.",
		at + "Config.KeyFile":                  "Path to the private key in PEM.",
		at + "Config.KeyPem":                   "The private key itself, in PEM.",
		at + "Config.CurvePreferences":         "Elliptic curves in the order of preference. Empty means Go's choice.",
		at + "Config.ReloadInterval":           "How often the files are looked at and, if they have changed, read again. 0 means only on a reload. Broken files leave the last good ones in use.",
		at + "Config.IncludeSystemCACertsPool": "Trust the system's authorities for clients beside client_ca_file.",
		at + "Config.MinVersion":               "The least TLS version, \"1.2\" if empty.",
		at + "Config.MaxVersion":               "The highest TLS version. Empty means the highest that Go has.",
		at + "ServerConfig.ClientCAFile":       "Path to the authorities that client certificates are verified by, in PEM. With it a client certificate is required, on the admin endpoint only instead of a token.",
		at + "ServerConfig.ReloadClientCAFile": "Has no effect: the authorities are read again together with the certificate.",
		at + "TPMConfig.Enabled":               "The key file is one of a TPM 2.0.",
		at + "TPMConfig.Auth":                  "Authorisation value of the key.",
		at + "TPMConfig.OwnerAuth":             "Authorisation value of the TPM's owner.",
	}
}()

func readPackage(comments config.Comments, path, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			if _, ok := err.(*fs.PathError); ok {
				continue
			}
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, id := range f.Names {
						if text := fieldText(f, id.Name); text != "" {
							comments[path+"."+spec.Name.Name+"."+id.Name] = text
						}
					}
				}
			}
			return true
		})
	}
	return nil
}

// fieldText returns the comment of a field as a sentence about the key: without
// the Go name that it begins with.
func fieldText(f *ast.Field, name string) string {
	doc := f.Doc
	if doc == nil {
		doc = f.Comment
	}
	if doc == nil {
		return ""
	}
	text, _, _ := strings.Cut(doc.Text(), "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	for _, verb := range []string{" is ", " are ", " "} {
		if rest, ok := strings.CutPrefix(text, name+verb); ok {
			text = rest
			break
		}
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
