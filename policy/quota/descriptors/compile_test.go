package descriptors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProblems compiles testdata/bad/*.yaml; the comments at the end of each say
// what is wrong.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(data)) {
			if w, ok := strings.CutPrefix(line, "# want "); ok {
				want = append(want, strings.TrimSpace(w))
			}
		}
		_, err = Compile([]File{{Name: "f.yaml", Data: data}}, false)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, strings.Join(want, "\n"))
		}
	}
}

func TestDomains(t *testing.T) {
	a := File{"a.yaml", []byte("domain: d\ndescriptors:\n- {key: a, rate_limit: {unit: second, requests_per_unit: 1}}\n")}
	b := File{"b.yaml", []byte("domain: d\ndescriptors:\n- {key: b, rate_limit: {unit: second, requests_per_unit: 2}}\n---\ndomain: e\n")}
	if _, err := Compile([]File{a, b}, false); err == nil || !strings.HasPrefix(err.Error(), `b.yaml:1: domain "d" is already in a.yaml:1; `) {
		t.Errorf("got %v", err)
	}
	s, err := Compile([]File{a, b}, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(&ask(t, s, "d", "b=x")[0]); got != "d.b 2/1s b=x" || s.Domains() != 2 {
		t.Errorf("got %s of %s", got, s)
	}
	if _, err := Compile([]File{a, a}, true); err == nil || !strings.Contains(err.Error(), "the descriptor d.a is already at a.yaml:3") {
		t.Errorf("got %v", err)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	s := compile(t, `
domain: d
descriptors:
  - key: a
    rate_limit: &limit {unit: second, requests_per_unit: 3}
  - key: b
    rate_limit: *limit
  - key: c
    rate_limit:
      <<: *limit
      requests_per_unit: 4
`)
	for d, want := range map[string]string{"a=x": "d.a 3/1s a=x", "b=x": "d.b 3/1s b=x", "c=x": "d.c 4/1s c=x"} {
		if got := said(&ask(t, s, "d", d)[0]); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("domain: d\ndescriptors:\n- key: a\n  descriptors: &l00 [{key: x}, {key: y}]\n")
	for i := range 30 {
		b.WriteString("- key: k" + string(rune('A'+i)) + "\n  descriptors: &l" + itoa(i+1) + "\n  - {key: x, descriptors: *l" + itoa(i) + "}\n  - {key: y, descriptors: *l" + itoa(i) + "}\n")
	}
	_, err := Compile([]File{{"bomb.yaml", []byte(b.String())}}, false)
	if err == nil || !strings.Contains(err.Error(), "the aliases of the file come to more than") {
		t.Errorf("got %v", err)
	}
}

func itoa(i int) string { return string(rune('0'+i/10)) + string(rune('0'+i%10)) }

func TestWarnings(t *testing.T) {
	s := compile(t, "domain: d\ndescriptors:\n- key: a\n  rate_limit: {unit: second, requests_per_unit: 1, replaces: [{name: nobody}]}\n")
	if w := s.Warnings(); len(w) != 1 || w[0] != `limits.yaml:4: replaces "nobody", but no limit has this name` {
		t.Errorf("got %q", w)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(treeYAML, "plan", "gold")
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(string(data), "a", "b")
		}
	}
	f.Fuzz(func(t *testing.T, yaml, key, value string) {
		s, err := Compile([]File{{"f.yaml", []byte(yaml)}}, true)
		if (s == nil) == (err == nil) {
			t.Fatal("neither a set nor an error, or both")
		}
		if err != nil {
			if strings.Contains(err.Error(), "f.yaml: ") && !strings.Contains(err.Error(), "not YAML") {
				t.Fatalf("a problem without its line: %v", err)
			}
			return
		}
		for domain := range s.domains {
			ask(t, s, domain, key+"="+value, key+"="+value+","+value+"="+key)
		}
	})
}
