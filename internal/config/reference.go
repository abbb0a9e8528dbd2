package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.opentelemetry.io/collector/config/configtls"
)

// GenerateReference makes docs/configuration.md's table of keys from the types
// and their comments.
func GenerateReference(comments Comments) string {
	var b strings.Builder
	b.WriteString(referenceHead)
	tree := newTree(reflect.ValueOf(DefaultConfig()))
	var tls *field
	tree.walk(func(f *field) {
		if tls == nil && isListenerTLS(f) {
			tls = f
		}
	})
	for _, c := range tree.children {
		fmt.Fprintf(&b, "\n## %s\n\n", c.key)
		if text := comments[c.goName]; text != "" {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
		b.WriteString("| key | type | default | reload | |\n|---|---|---|---|---|\n")
		writeRows(&b, c, comments)
	}
	b.WriteString("\n## tls of a listener\n\nThe keys below each listener's `tls`. All of them apply on a reload; a section that comes or goes needs a restart.\n\n" +
		"| key | type | default | |\n|---|---|---|---|\n")
	for _, c := range tls.children {
		c.walk(func(f *field) {
			if f.kind != section {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.TrimPrefix(f.path, tls.path+"."), typeName(f), defaultText(f), cell(comments[f.goName]))
			}
		})
	}
	return b.String()
}

func isListenerTLS(f *field) bool { return f.typ == reflect.TypeFor[configtls.ServerConfig]() }

func writeRows(b *strings.Builder, f *field, comments Comments) {
	if f.kind == section && !f.optional {
		for _, c := range f.children {
			writeRows(b, c, comments)
		}
		return
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n",
		f.path, typeName(f), defaultText(f), reloadText(f), cell(comments[f.goName]))
	switch {
	case isListenerTLS(f): // told once, below
	case f.kind == section:
		for _, c := range f.children {
			writeRows(b, c, comments)
		}
	case f.elem != nil && f.elem.kind == section:
		for _, c := range f.elem.children {
			writeRows(b, c, comments)
		}
	}
}

func typeName(f *field) string {
	switch f.kind {
	case section:
		if isListenerTLS(f) {
			return "[tls](#tls-of-a-listener)"
		}
		return "section"
	case list:
		return "list of " + typeName(f.elem)
	case table:
		return "section of " + typeName(f.elem)
	case free:
		return "YAML"
	}
	if f.typ == durationType {
		return "duration"
	}
	if f.typ == opaqueType {
		return "secret"
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Struct:
		return "string"
	}
	return "integer"
}

func defaultText(f *field) string {
	if strings.Contains(f.path, "[]") || strings.Contains(f.path, "<name>") || !f.def.IsValid() {
		return ""
	}
	switch f.kind {
	case leaf:
		s := fmt.Sprint(plain(f.def))
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	case list:
		if f.elem.kind != leaf || f.def.Len() == 0 {
			return ""
		}
		parts := make([]string, f.def.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(plain(f.def.Index(i)))
		}
		return "`[" + strings.Join(parts, ", ") + "]`"
	}
	return ""
}

func reloadText(f *field) string {
	path := strings.ReplaceAll(strings.ReplaceAll(f.path, "[]", ""), "<name>", "x")
	if f.optional {
		return "" // its keys say it
	}
	if isHot(path) {
		return "hot"
	}
	return "restart"
}

// cell makes one line that does not end the table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

const referenceHead = `# Configuration

<!-- Made by go generate from the comments of the Go types. Do not edit. -->

` + "`tallygate serve --config tallygate.yaml`" + ` reads a YAML file; without a file it runs on loopback with the defaults below.
` + "`tallygate config init`" + ` writes a commented file to begin with, ` + "`tallygate validate`" + ` reports everything wrong with one, ` + "`tallygate config print`" + ` shows what is in force, and [schema.json](../internal/config/schema.json) lets an editor complete keys:

` + "```yaml" + `
# yaml-language-server: $schema=https://raw.githubusercontent.com/tallygate/tallygate/main/internal/config/schema.json
ingest:
  als:
    endpoint: 0.0.0.0:9001
prometheus:
  endpoint: 0.0.0.0:9464
` + "```" + `

- ` + "`--config`" + ` repeats and merges: sections key by key, lists as a whole. Besides files it takes ` + "`env:NAME`, `file:path` and `yaml:text`" + `.
- ` + "`--set ingest.als.endpoint=0.0.0.0:9001`" + ` overrides one key; the value is YAML.
- ` + "`${env:NAME}`, `${env:NAME:-default}` and `${file:path}`" + ` stand for values anywhere; a variable that is not set is an error; ` + "`$$`" + ` is a dollar sign.
- Unknown keys are errors. Every problem is reported at once with its key path.
- SIGHUP reloads. Everything is validated before anything is applied. Keys marked *hot* apply while running; if any other key has changed the whole reload is refused with ` + "`needs restart: <keys>`" + ` and the old configuration stays. ` + "`tallygate_config_last_reload_success`" + ` says how the last one ended. Certificates are read again on every reload and, when their files change, every ` + "`reload_interval`" + `.
- Without ` + "`ingest.als.tls.client_ca_file`" + ` any client that reaches the port may report; bind to loopback or use mTLS.

Durations are written ` + "`300ms`, `10s`, `1m30s`" + `. Sizes are in the unit that the key names.

On SIGTERM or SIGINT the process drains: ` + "`/readyz`" + ` and gRPC health say no, everything serves on for ` + "`drain.delay`" + `, proxies are told to go elsewhere (GOAWAY) and every stream ends by itself between two messages (at most ` + "`drain.timeout`" + `), pushes flush (at most ` + "`drain.timeout`" + `) while ` + "`/metrics`" + ` stays up until a scrape has begun and finished after the last count, or ` + "`drain.final_scrape`" + ` has passed. That wait is left out if nobody has scraped within the last five minutes. Give the orchestrator ` + "`drain.delay` + `drain.timeout` + the longer of `drain.timeout` and `drain.final_scrape`" + ` and a little more before it kills. A second signal exits at once (within 300 ms it counts as the first: terminals and timeout(1) send it twice).
`
