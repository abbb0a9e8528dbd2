package opa

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

var jsonTexts = []string{
	`{}`, `[]`, `null`, `true`, `"a"`, `0`, ` [1, 2.50, -0, 1e3, 123456789012345678901234567890] `,
	`{"a": {"b": [1, {"c": null}]}, "d": "\u00e9\n\ud83d\ude00", "é": false}`,
	`{"a": 1, "b": 2, "a": {"c": 3}, "a": 4}`, `{"\u0061": 1, "a": 2}`, "{\"a\xff\": \"b\xff\"}", `"\ud800"`,
	``, ` `, `{`, `[1,`, `[1,]`, `{"a"}`, `{"a":}`, `{1: 2}`, `{"a": 1,}`, `[1] 2`, `nul`, `01`, `"\x"`, `'a'`, `{"a": 1 "b": 2}`, `]`,
}

func FuzzReadJSON(f *testing.F) {
	for _, text := range append(jsonTexts, large(100), large(3)) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := readJSON(text, nil)
		var doc any
		refErr := util.UnmarshalJSON(text, &doc)
		if (err == nil) != (refErr == nil) {
			t.Fatalf("%q: %v, but of encoding/json: %v", text, err, refErr)
		}
		if err != nil {
			return
		}
		if want := ast.MustInterfaceToValue(doc); want.Compare(got) != 0 {
			t.Fatalf("%q is %v, want %v", text, got, want)
		}
	})
}

// large returns the text of an object of n members.
func large(n int) string {
	var b strings.Builder
	b.WriteString(`{"large": {`)
	for i := range n {
		if i > 0 {
			b.WriteString(",\n ")
		}
		b.WriteString(`"user-`)
		b.WriteString(strings.Repeat("x", i))
		b.WriteString(`" : {"roles": ["reader", {"writer": 700}], "limit": 700, "none": null}`)
	}
	b.WriteString("}, \"small\": 1}")
	return b.String()
}

func TestJSONErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"a\": 1,\n\"b\" 2}": "line 3: ",
		"[1,\n2":                 "line 2: unexpected EOF",
		"[1]\n\n[2]":             "line 3: there is something after",
		"":                       "line 1: unexpected EOF",
	} {
		_, err := readJSON([]byte(text), nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		_, packedErr := findPacked([]byte(text), 0, true, nil)
		if packedErr == nil || packedErr.Error() != err.Error() {
			t.Errorf("%q: %v as a large text, %v as a small one", text, packedErr, err)
		}
	}
}
