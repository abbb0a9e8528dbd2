package opa

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	// manyPairs is from how many on the pairs of an object are entered one by one,
	// so that no step is a long one.
	manyPairs = 64
	// minSharing is the size of a text from which on its terms are shared,
	// maxShared how many strings and how many numbers are, and maxSharedLen how
	// long one may be.
	minSharing, maxShared, maxSharedLen = 4 << 10, 1 << 16, 64
)

// jsonReader makes a value of OPA's of JSON text, without maps of Go's in
// between. Equal short strings of a text are one term, as are equal numbers.
type jsonReader struct {
	dec              *jsontext.Decoder
	strings, numbers map[string]*ast.Term
	pace             *pacer
}

// readJSON reads the one value that b has. An error names the line.
func readJSON(b []byte, p *pacer) (ast.Value, error) {
	r := jsonReader{dec: newJSONDecoder(b), pace: p}
	if len(b) >= minSharing {
		r.strings, r.numbers = map[string]*ast.Term{}, map[string]*ast.Term{}
	}
	t, err := r.value()
	if err == nil {
		err = atEnd(r.dec)
	}
	if err != nil {
		return nil, located(b, r.dec, err)
	}
	return t.Value, nil
}

// newJSONDecoder returns a decoder as OPA's: of two members with one name the
// later counts, and invalid UTF-8 is replaced.
func newJSONDecoder(b []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// atEnd fails unless the text of dec is at its end.
func atEnd(dec *jsontext.Decoder) error {
	_, err := dec.ReadToken()
	switch err {
	case io.EOF:
		return nil
	case nil:
		return errors.New("there is something after the end of the JSON value")
	}
	return err
}

// located says in which line of b an error of dec is.
func located(b []byte, dec *jsontext.Decoder, err error) error {
	at := dec.InputOffset()
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		at, err = syntax.ByteOffset, syntax.Err
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(b[:at], []byte("\n")), err)
}

func (r *jsonReader) value() (*ast.Term, error) {
	r.pace.step()
	switch r.dec.PeekKind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		return r.string()
	case '0':
		return r.number()
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if tok.Kind() == 'n' {
		return ast.InternedNullTerm, nil
	}
	return ast.InternedTerm(tok.Bool()), nil
}

func (r *jsonReader) array() (*ast.Term, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	var elems []*ast.Term
	for r.dec.PeekKind() != ']' {
		t, err := r.value()
		if err != nil {
			return nil, err
		}
		elems = append(elems, t)
	}
	_, err := r.dec.ReadToken()
	return ast.ArrayTerm(elems...), err
}

func (r *jsonReader) object() (*ast.Term, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, err
	}
	var buf [8][2]*ast.Term
	few := buf[:0]
	var many ast.Object
	for r.dec.PeekKind() != '}' {
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		t, err := r.value()
		switch {
		case err != nil:
			return nil, err
		case many != nil:
			many.Insert(name, t)
		default:
			few = setPair(few, name, t)
			if len(few) == manyPairs {
				many = ast.NewObject(few...)
			}
		}
	}
	if many == nil {
		many = ast.NewObject(few...)
	}
	_, err := r.dec.ReadToken()
	return ast.NewTerm(many), err
}

// setPair adds a pair, or gives the one of that name another value.
func setPair(pairs [][2]*ast.Term, name, value *ast.Term) [][2]*ast.Term {
	for i, p := range pairs {
		if p[0] == name || p[0].Value == name.Value {
			pairs[i][1] = value
			return pairs
		}
	}
	return append(pairs, [2]*ast.Term{name, value})
}

func (r *jsonReader) string() (*ast.Term, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if raw.Kind() != '"' {
		return nil, errors.New("the name of a member is not a string")
	}
	if t, ok := r.strings[string(raw)]; ok {
		return t, nil
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && s == nil {
		return nil, err
	}
	return share(r.strings, raw, ast.InternedTerm(string(s))), nil
}

func (r *jsonReader) number() (*ast.Term, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if t, ok := r.numbers[string(raw)]; ok {
		return t, nil
	}
	t := ast.InternedIntNumberTermFromString(string(raw))
	if t == nil {
		t = ast.NumberTerm(json.Number(raw))
	}
	return share(r.numbers, raw, t), nil
}

// share remembers the term that text stands for.
func share(terms map[string]*ast.Term, text []byte, t *ast.Term) *ast.Term {
	if terms != nil && len(text) <= maxSharedLen && len(terms) < maxShared {
		terms[string(text)] = t
	}
	return t
}
