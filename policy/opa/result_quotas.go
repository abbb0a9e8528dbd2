package opa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
)

// maxQuotas is how many quotas one decision may name.
const maxQuotas = 16

// quotaKeys are those of an element of quotas.
const quotaKeys = "name, key, limit, per, burst, cost, algorithm, on_error, sync, shadow"

// quotas reads an array (or a set) of quotas.
func quotas(v ast.Value) ([]mesh.Quota, error) {
	var out []mesh.Quota
	var errs []error
	var scratch []byte
	each := func(t *ast.Term) {
		q, err := quotaOf(t.Value)
		if err != nil {
			label := strconv.Itoa(len(out))
			if q.Name != "" {
				label += fmt.Sprintf(" (%q)", q.Name)
			}
			errs = append(errs, fmt.Errorf("element %s: %w", label, err))
		}
		scratch = q.Identify(scratch)
		out = append(out, q)
	}
	var n int
	switch v := v.(type) {
	case *ast.Array:
		n = v.Len()
		if n <= maxQuotas {
			v.Foreach(each)
		}
	case ast.Set:
		n = v.Len()
		if n <= maxQuotas {
			v.Foreach(each)
		}
	default:
		return nil, fmt.Errorf(`is %s, not an array of quotas, as [{"name": "per-user", "key": input.attributes.source.principal, "limit": 100, "per": "1s"}]`, kindOf(v))
	}
	if n > maxQuotas {
		return nil, fmt.Errorf("has %d elements; a decision may name %d at most", n, maxQuotas)
	}
	return out, errors.Join(errs...)
}

// quotaOf reads one quota.
func quotaOf(v ast.Value) (mesh.Quota, error) {
	q := mesh.Quota{Cost: 1}
	obj, ok := v.(ast.Object)
	if !ok {
		return q, fmt.Errorf("is %s, not an object", kindOf(v))
	}
	for _, key := range []string{"name", "limit", "per"} {
		if obj.Get(ast.StringTerm(key)) == nil {
			q.Name = nameOf(obj)
			return q, fmt.Errorf("has no %s", key)
		}
	}
	var errs []error
	obj.Foreach(func(k, t *ast.Term) {
		key, ok := k.Value.(ast.String)
		if !ok {
			errs = append(errs, fmt.Errorf("has the key %v, which is not a string", k))
			return
		}
		var err error
		switch key {
		case "name":
			if q.Name, err = text(t.Value); err == nil {
				err = checkName(q.Name)
			}
		case "key":
			q.Key, err = quotaKey(t.Value)
		case "limit":
			q.Limit, err = whole(t.Value)
		case "per":
			q.Per, err = period(t.Value)
		case "burst":
			if q.Burst, err = whole(t.Value); err == nil && q.Burst == 0 {
				err = errors.New("is 0; leave it out for that of the limit")
			}
		case "cost":
			q.Cost, err = whole(t.Value)
		case "algorithm":
			q.Algorithm, err = oneOf(t.Value, mesh.GCRA, mesh.FixedWindow)
		case "on_error":
			q.OnError, err = oneOf(t.Value, mesh.QuotaErrorAllow, mesh.QuotaErrorDeny, mesh.QuotaErrorLocal)
		case "sync":
			q.Sync, err = boolean(t.Value)
		case "shadow":
			q.Shadow, err = boolean(t.Value)
		default:
			errs = append(errs, fmt.Errorf("has the unknown key %v; there are %s", k, quotaKeys))
			return
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", string(key), err))
		}
	})
	if len(errs) == 0 {
		if err := quota.Check(&q); err != nil {
			errs = append(errs, err)
		}
	}
	return q, errors.Join(errs...)
}

func nameOf(obj ast.Object) string {
	if t := obj.Get(ast.StringTerm("name")); t != nil {
		s, _ := t.Value.(ast.String)
		return string(s)
	}
	return ""
}

// checkName admits what can stand in a header, a label and a Redis command line
// without quotes.
func checkName(s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("is %d bytes long, not between 1 and 64: the name says which limit it is, the key who is counted", len(s))
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:", c) {
			return fmt.Errorf("is %q; it may have letters, digits and -_./: (the key may have anything)", s)
		}
	}
	return nil
}

// quotaKey reads a scalar, or an array of them: its JSON, which is injective.
func quotaKey(v ast.Value) (string, error) {
	switch v := v.(type) {
	case ast.String:
		return string(v), nil
	case ast.Number, ast.Boolean:
		return v.String(), nil
	case *ast.Array:
		for i := range v.Len() {
			switch e := v.Elem(i).Value.(type) {
			case ast.String, ast.Number, ast.Boolean:
			default:
				return "", fmt.Errorf("element %d is %s, not a string, number or boolean", i, kindOf(e))
			}
		}
		return v.String(), nil
	}
	return "", fmt.Errorf("is %s, not a string, or an array of strings, numbers and booleans", kindOf(v))
}

func whole(v ast.Value) (uint64, error) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, fmt.Errorf("is %s, not a whole number", kindOf(v))
	}
	u, err := strconv.ParseUint(string(n), 10, 64)
	if err != nil {
		// 1e3 and 5.0 are whole numbers too.
		f, ferr := strconv.ParseFloat(string(n), 64)
		if ferr != nil || f < 0 || f > 1<<53 || f != float64(uint64(f)) {
			return 0, fmt.Errorf("is %v, not a whole number; see ceil() and max()", n)
		}
		u = uint64(f)
	}
	return u, nil
}

// period reads a duration as Go writes it, or a number of days as "30d".
func period(v ast.Value) (time.Duration, error) {
	s, ok := v.(ast.String)
	if !ok {
		return 0, fmt.Errorf(`is %s, not a duration, as "1s"`, kindOf(v))
	}
	if days, ok := strings.CutSuffix(string(s), "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(string(s))
	if err != nil || d <= 0 {
		return 0, fmt.Errorf(`is %q, not a duration, as "1s", "5m", "24h" or "30d"`, string(s))
	}
	return d, nil
}

// oneOf reads the name of one of values.
func oneOf[T fmt.Stringer](v ast.Value, values ...T) (T, error) {
	s, _ := v.(ast.String)
	var names []string
	for _, x := range values {
		if x.String() == string(s) {
			return x, nil
		}
		names = append(names, x.String())
	}
	var zero T
	return zero, fmt.Errorf("is %v, none of %s", v, strings.Join(names, ", "))
}

// quotaDenial reads {"body": …, "headers": …, "http_status": …}.
func quotaDenial(v ast.Value) (d mesh.QuotaDenial, err error) {
	obj, ok := v.(ast.Object)
	if !ok {
		return d, fmt.Errorf(`is %s, not an object, as {"body": "slow down"}`, kindOf(v))
	}
	err = obj.Iter(func(k, t *ast.Term) (err error) {
		name, _ := k.Value.(ast.String)
		switch name {
		case "body":
			d.Body, err = text(t.Value)
		case "headers":
			d.Headers, err = headers(t.Value)
		case "http_status":
			if d.Status, err = status(t.Value); err == nil && d.Status < 400 {
				err = fmt.Errorf("is %d, not the status of an error", d.Status)
			}
		default:
			return fmt.Errorf("unknown key %v; there are body, headers and http_status", k)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", string(name), err)
		}
		return nil
	})
	return d, err
}
