package opa

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/tallygate/tallygate/mesh"
)

// read takes the answer of a policy: the contract of opa-envoy-plugin, a
// boolean or an object, with cache and reason added.
func (res *Result) read(v ast.Value) error {
	res.Verdict = &mesh.Verdict{}
	switch v := v.(type) {
	case ast.Boolean:
		res.Verdict.Allowed = bool(v)
		return nil
	case ast.Object:
		return res.object(v)
	}
	return fmt.Errorf("is %s; it must be a boolean or an object with allowed", kindOf(v))
}

func (res *Result) object(obj ast.Object) error {
	v := res.Verdict
	allowed := obj.Get(ast.StringTerm("allowed"))
	if allowed == nil {
		return errors.New(`has no key "allowed", which must be a boolean`)
	}
	var errs []error
	obj.Foreach(func(k, t *ast.Term) {
		name, ok := k.Value.(ast.String)
		if !ok {
			errs = append(errs, fmt.Errorf("has the key %v, which is not a string", k))
			return
		}
		var err error
		switch name {
		case "allowed":
			v.Allowed, err = boolean(t.Value)
		case "headers":
			v.Headers, err = headers(t.Value)
		case "response_headers_to_add":
			v.ResponseHeaders, err = headers(t.Value)
		case "request_headers_to_remove":
			v.HeadersToRemove, err = names(t.Value)
		case "query_parameters_to_set":
			v.QueryToSet, err = headers(t.Value)
		case "query_parameters_to_remove":
			v.QueryToRemove, err = names(t.Value)
		case "body":
			v.Body, err = text(t.Value)
		case "http_status":
			v.Status, err = status(t.Value)
		case "dynamic_metadata":
			v.Metadata, err = metadata(t.Value)
		case "reason":
			v.Reason, err = text(t.Value)
		case "cache":
			err = res.cache(t.Value)
		case "quotas":
			v.Quotas, err = quotas(t.Value)
		case "quota_denied":
			v.QuotaDenial, err = quotaDenial(t.Value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", string(name), err))
		}
	})
	return errors.Join(errs...)
}

func kindOf(v ast.Value) string { return "a value of type " + ast.ValueName(v) }

func boolean(v ast.Value) (bool, error) {
	b, ok := v.(ast.Boolean)
	if !ok {
		return false, fmt.Errorf("is %s, not a boolean", kindOf(v))
	}
	return bool(b), nil
}

func text(v ast.Value) (string, error) {
	s, ok := v.(ast.String)
	if !ok {
		return "", fmt.Errorf("is %s, not a string", kindOf(v))
	}
	return string(s), nil
}

// headers reads an object of strings or arrays of strings; or an array of such
// objects, which the plugin takes as well.
func headers(v ast.Value) ([]mesh.Header, error) {
	switch v := v.(type) {
	case ast.Object:
		return headersOf(nil, v)
	case *ast.Array:
		var out []mesh.Header
		for i := range v.Len() {
			obj, ok := v.Elem(i).Value.(ast.Object)
			if !ok {
				return nil, fmt.Errorf("element %d is %s, not an object", i, kindOf(v.Elem(i).Value))
			}
			var err error
			if out, err = headersOf(out, obj); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("is %s, not an object of strings or arrays of strings", kindOf(v))
}

func headersOf(out []mesh.Header, obj ast.Object) ([]mesh.Header, error) {
	err := obj.Iter(func(k, t *ast.Term) error {
		name, err := text(k.Value)
		if err != nil {
			return fmt.Errorf("the key %v %w", k, err)
		}
		if s, ok := t.Value.(ast.String); ok {
			out = append(out, mesh.Header{Name: name, Value: string(s)})
			return nil
		}
		each := func(t *ast.Term) error {
			s, err := text(t.Value)
			if err != nil {
				return fmt.Errorf("a value of %q %w", name, err)
			}
			out = append(out, mesh.Header{Name: name, Value: s})
			return nil
		}
		switch list := t.Value.(type) {
		case *ast.Array:
			return list.Iter(each)
		case ast.Set:
			return list.Iter(each)
		}
		return fmt.Errorf("%q is %s, not a string or an array of strings", name, kindOf(t.Value))
	})
	return out, err
}

// names reads an array or set of strings.
func names(v ast.Value) ([]string, error) {
	var out []string
	each := func(t *ast.Term) error {
		s, err := text(t.Value)
		if err != nil {
			return fmt.Errorf("an element %w", err)
		}
		out = append(out, s)
		return nil
	}
	var err error
	switch v := v.(type) {
	case *ast.Array:
		err = v.Iter(each)
	case ast.Set:
		err = v.Iter(each)
	default:
		err = fmt.Errorf("is %s, not an array of strings", kindOf(v))
	}
	return out, err
}

func status(v ast.Value) (int, error) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, fmt.Errorf("is %s, not a number", kindOf(v))
	}
	i, ok := n.Int()
	if !ok || i < 100 || i > 599 {
		return 0, fmt.Errorf("is %v, not an HTTP status as %d", n, http.StatusForbidden)
	}
	return i, nil
}

func metadata(v ast.Value) (map[string]any, error) {
	if _, ok := v.(ast.Object); !ok {
		return nil, fmt.Errorf("is %s, not an object", kindOf(v))
	}
	x, err := ast.JSON(v)
	if err != nil {
		return nil, err
	}
	m, ok := x.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("is %s, not an object with strings for keys", kindOf(v))
	}
	return m, nil
}

// cache reads {"ttl": "30s"}, {"not_after": <unix seconds>} or {"no_store": true}.
func (res *Result) cache(v ast.Value) error {
	obj, ok := v.(ast.Object)
	if !ok {
		return fmt.Errorf(`is %s, not an object, as {"ttl": "30s"}`, kindOf(v))
	}
	hint := &res.Cache
	return obj.Iter(func(k, t *ast.Term) error {
		hint.Opinion = true
		name, _ := k.Value.(ast.String)
		switch name {
		case "ttl":
			s, _ := t.Value.(ast.String)
			ttl, err := time.ParseDuration(string(s))
			if err != nil || ttl < 0 {
				return fmt.Errorf(`ttl is %v, not a duration as "30s"`, t)
			}
			if !hint.HasTTL || ttl < hint.TTL {
				hint.TTL = ttl
			}
			hint.HasTTL = true
		case "not_after":
			n, _ := t.Value.(ast.Number)
			f, err := strconv.ParseFloat(string(n), 64)
			if err != nil || math.Abs(f) > 1<<40 {
				return fmt.Errorf("not_after is %v, not a time in seconds since 1970", t)
			}
			hint.NotAfter = time.Unix(int64(math.Floor(f)), 0)
		case "no_store":
			b, err := boolean(t.Value)
			if err != nil {
				return fmt.Errorf("no_store %w", err)
			}
			hint.NoStore = b
		default:
			return fmt.Errorf("unknown key %v; there are ttl, not_after and no_store", k)
		}
		return nil
	})
}
