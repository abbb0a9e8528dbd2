package config

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.yaml.in/yaml/v3"
)

const redacted = "[REDACTED]"

// YAML returns the configuration with all defaults filled in, in the order of
// the reference, and with secrets replaced: opaque fields, and in exporters'
// sections every header and every key that sounds like a secret.
func (c *Config) YAML() ([]byte, error) {
	tree := newTree(reflect.ValueOf(DefaultConfig()))
	node, err := encode(tree, reflect.ValueOf(*c))
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return nil, fmt.Errorf("writing the configuration as YAML: %w", err)
	}
	return buf.Bytes(), nil
}

func encode(f *field, v reflect.Value) (*yaml.Node, error) {
	if inner, ok := unwrapOptional(v, false); ok {
		if !inner.IsValid() {
			return nil, nil
		}
		v = inner
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch f.kind {
	case section:
		n := &yaml.Node{Kind: yaml.MappingNode}
		return n, encodeFields(n, f, v)
	case list:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if f.elem.kind == leaf {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			e, err := encode(f.elem, v.Index(i))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, e)
		}
		return n, nil
	case table:
		return encodeTable(f, v)
	case free:
		if v.Kind() == reflect.Map && v.Len() == 0 {
			return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}, nil
		}
		return encodeScalar(redact(v.Interface(), ""))
	}
	return encodeScalar(plain(v))
}

func encodeFields(n *yaml.Node, f *field, v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, opts, _ := strings.Cut(sf.Tag.Get("mapstructure"), ",")
		if strings.Contains(opts, "squash") {
			if err := encodeFields(n, f, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		c := f.child(name)
		if c == nil {
			continue
		}
		value, err := encode(c, v.Field(i))
		if err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
		if value != nil {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
		}
	}
	return nil
}

func encodeTable(f *field, v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if list, ok := v.Interface().(configopaque.MapList); ok {
		for name := range list.Iter {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, &yaml.Node{Kind: yaml.ScalarNode, Value: redacted})
		}
	} else {
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			e, err := encode(f.elem, v.MapIndex(k))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k.String()}, e)
		}
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

func encodeScalar(v any) (*yaml.Node, error) {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		return nil, err
	}
	return n, nil
}

// plain returns a leaf as people write it.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return duration(x)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x) // 1800000, not 1.8e+06
		}
		return x
	case configopaque.String:
		if x == "" {
			return ""
		}
		return redacted
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	return v.Interface()
}

// duration writes 1m0s as 1m.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// secretKey matches keys whose values nobody should read. In an exporter's
// section the types are not known here, so the name decides, and rather too
// often than too seldom.
var secretKey = regexp.MustCompile(`(?i)(passw|secret|token|credential|authori[sz]ation|cookie|api_?key|access_?key|(^|_)(key|cert|ca)_pem$|(^|_)pem$|^dsn$|connection_?string|sasl|^auth$)`)

// redact copies a decoded YAML value without its secrets; key is the key it
// stands at.
func redact(v any, key string) any {
	switch x := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, e := range x {
			if strings.HasSuffix(key, "headers") {
				m[k] = redacted
				continue
			}
			m[k] = redact(e, k)
		}
		return m
	case []any:
		l := make([]any, len(x))
		for i, e := range x {
			l[i] = redact(e, key)
		}
		return l
	case nil, bool:
		return x
	case string:
		if isSecret(key) && x != "" {
			return redacted
		}
		return redactURL(x)
	default:
		if isSecret(key) {
			return redacted
		}
		return x
	}
}

func isSecret(key string) bool {
	return strings.HasSuffix(key, "headers") || secretKey.MatchString(key) && !strings.HasSuffix(key, "_file")
}

// redactURL masks the password and the values of the query of a URL: tokens are
// passed in both.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return s
	}
	if u.RawQuery != "" {
		query := u.Query()
		for _, values := range query {
			for i := range values {
				values[i] = "xxxxx"
			}
		}
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}
