package opa

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

// readPacked reads data files as if every object were large.
func readPacked(t testing.TB, paths ...string) *Sources {
	t.Helper()
	r := newReader(nil)
	r.minPacked = 1
	src, err := r.read(paths)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestPackedIsAsUnpacked reads what is in texts at every path there is, and at
// some there are not, packed and not.
func TestPackedIsAsUnpacked(t *testing.T) {
	for _, text := range append(jsonTexts,
		large(40),
		`{"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}`,
		`{"one": {"x": 1}, "two" : { "x" :{"y": [10, {"z": 0}]}, "é\u0000": 2, "" : 3, "a\"b": 4 } ,"three": {}}`,
		`{"one": {"x": 1, "\u0078": {"y": 2}, "x": {"y": 3}}}`,
		`{"0": {"0": ["a", "b"]}}`,
	) {
		var doc any
		if util.UnmarshalJSON([]byte(text), &doc) != nil {
			continue
		}
		if _, ok := doc.(map[string]any); !ok {
			continue
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "data.json"), text)
		src := readPacked(t, dir)
		st, ref := newStore(src.Data, src.packed), inmem.NewFromASTObject(ast.MustInterfaceToValue(doc).(ast.Object))
		if len(src.packed) == 0 && strings.Count(text, "{") > 3 {
			t.Errorf("%s: nothing is packed", text)
		}
		for _, path := range pathsOf(doc, nil) {
			for _, more := range []storage.Path{nil, {"none"}, {"0"}, {"1"}, {"-1"}, {"01"}} {
				path := append(slices.Clone(path), more...)
				got, err := read1(st, path)
				want, wantErr := read1(ref, path)
				if storage.IsNotFound(err) != storage.IsNotFound(wantErr) || err == nil && want.Compare(got) != 0 {
					t.Fatalf("%s at %v: %v, %v; unpacked %v, %v", text, path, got, err, want, wantErr)
				}
				if has := st.has(path); has != (wantErr == nil) {
					t.Fatalf("%s: has %v is %v", text, path, has)
				}
			}
		}
		all := st.unpack(func(*packed) bool { return false }, nil)
		if len(all.packed) > 0 || all.data.Compare(ast.MustInterfaceToValue(doc)) != 0 {
			t.Errorf("%s unpacked is %v", text, all.data)
		}
	}
}

func read1(s storage.Store, path storage.Path) (ast.Value, error) {
	ctx := context.Background()
	txn, err := s.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Abort(ctx, txn)
	v, err := s.Read(ctx, txn, path)
	if err != nil {
		return nil, err
	}
	return v.(ast.Value), nil
}

// pathsOf lists all paths in doc.
func pathsOf(doc any, at storage.Path) []storage.Path {
	paths := []storage.Path{at}
	switch doc := doc.(type) {
	case map[string]any:
		for k, v := range doc {
			paths = append(paths, pathsOf(v, append(slices.Clip(at), k))...)
		}
	case []any:
		for i, v := range doc {
			paths = append(paths, pathsOf(v, append(slices.Clip(at), fmt.Sprint(i)))...)
		}
	}
	return paths
}

func TestPackedBesideOtherFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.json"), `{"users": {"u1": {"n": 1}, "u2": {"n": 2}}, "other": {"x": {"y": 1}}}`)
	write(t, filepath.Join(dir, "b.yaml"), "users: {u3: {k: 3}}\n")
	write(t, filepath.Join(dir, "groups", "g.json"), `{"g1": ["u1"], "g2": ["u2"]}`)
	src := readPacked(t, dir)
	var packed []string
	for _, p := range src.packed {
		packed = append(packed, p.path.String())
	}
	slices.Sort(packed)
	if got, want := strings.Join(packed, " "), "/groups /other"; got != want {
		t.Errorf("packed are %s, want %s", got, want)
	}
	st := newStore(src.Data, src.packed)
	for path, want := range map[string]string{"users/u1/n": "1", "users/u3/k": "3", "other/x/y": "1", "groups/g2/0": `"u2"`} {
		if got, err := read1(st, strings.Split(path, "/")); err != nil || got.String() != want {
			t.Errorf("%s is %v, %v, want %s", path, got, err, want)
		}
	}
	write(t, filepath.Join(dir, "c.json"), `{"other": {"x": {"y": 2}}}`)
	r := newReader(nil)
	r.minPacked = 1
	if _, err := r.read([]string{dir}); err == nil || !strings.Contains(err.Error(), "data.other.x.y is in another file already") {
		t.Errorf("a value in two files: %v", err)
	}
}

func TestPackedInBundle(t *testing.T) {
	for _, c := range []struct {
		roots, file, want string
		packed            int
	}{
		{`[""]`, "/data.json", "", 1},
		{`["users", "p"]`, "/data.json", "", 1},
		{`["users"]`, "/data.json", "", 1},
		{`["users"]`, "users/data.json", "", 1},
		{`["users/users", "p"]`, "users/data.json", "", 0}, // the folder is not only theirs
		{`["users/u1", "p"]`, "/data.json", "the bundle has data at /users/u2", 0},
		{`["other", "p"]`, "/data.json", "the bundle has data at /users", 0},
	} {
		file := filepath.Join(t.TempDir(), "b.tar.gz")
		write(t, file, string(tarball(t, map[string]string{
			"/.manifest": `{"revision": "r7", "roots": ` + c.roots + `}`,
			c.file:       `{"users": {"u1": {"n": 1}, "u2": {"n": 2}}}`,
		})))
		r := newReader(nil)
		r.minPacked = 1
		src, err := r.read([]string{file})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s in %s: %v, want %s", c.file, c.roots, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s in %s: %v", c.file, c.roots, err)
			continue
		}
		at := append(strings.FieldsFunc(filepath.Dir(c.file), func(c rune) bool { return c == '/' || c == '.' }), "users", "u2", "n")
		got, err := read1(newStore(src.Data, src.packed), at)
		if err != nil || got.String() != "2" || len(src.packed) != c.packed || src.Revision != "r7" {
			t.Errorf("%s in %s: %v at %v, %v; %d packed", c.file, c.roots, got, at, err, len(src.packed))
		}
	}
}

// repack gives g the data in file packed, whatever g does with it.
func repack(t testing.TB, g *Generation, file string) {
	t.Helper()
	src := readPacked(t, file)
	if len(src.packed) == 0 {
		t.Fatal("nothing is packed")
	}
	st := newStore(src.Data, src.packed)
	txn, err := st.NewTransaction(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	g.store, g.txn = st, txn
}

// TestPackedIsRead looks members up as requests do, from many goroutines, the
// whole too.
func TestPackedIsRead(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p.rego"), `package p
allow if "reader" in data.large[input.user].roles
all contains u if some u, v in data.large`)
	write(t, filepath.Join(dir, "data.json"), large(30))
	src := readPacked(t, dir)
	g, err := CompileSources(t.Context(), &Config{Entrypoint: "p/allow"}, src)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.store.packed) != 0 {
		t.Error("what a rule goes through is still packed")
	}
	write(t, filepath.Join(dir, "p.rego"), "package p\nallow if \"reader\" in data.large[input.user].roles")
	if g, err = CompileSources(t.Context(), &Config{Entrypoint: "p/allow"}, readPacked(t, dir)); err != nil {
		t.Fatal(err)
	}
	if len(g.store.packed) != 1 {
		t.Error("what is looked up is not packed")
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if i == 0 {
				if v, err := g.store.Read(t.Context(), g.txn, storage.Path{"large"}); err != nil || v.(ast.Object).Len() != 30 {
					t.Errorf("the whole is %v, %v", v, err)
				}
			}
			for n := range 40 {
				input := fmt.Sprintf(`{"user": "user-%s"}`, strings.Repeat("x", n))
				if got, want := evaluate(t, g, input).Verdict.Allowed, n < 30; got != want {
					t.Errorf("%s: allowed is %v, want %v", input, got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestLooksUp(t *testing.T) {
	for rules, want := range map[string]bool{
		`x := data.users[input.u]`:                                          true,
		`x := data.users[input.u].roles[_]`:                                 true,
		`x := data.users.admin.name`:                                        true,
		`x := data.other`:                                                   true,
		`x if { u := input.u; some r in data.users[u].roles; r == "a" }`:    true,
		`x if { some u in input.list; data.users[u].ok }`:                   true,
		`x := [n | some u in input.list; n := data.users[u].name]`:          true,
		`x if { every u in input.list { data.users[u].ok } }`:               true,
		"f(u) := data.users[u].name\nx := f(input.u)":                       true,
		"x := 1 if data.users[input.u].a\nelse := 2 if data.users[input.v]": true,
		`x := data.users`:                                                   false,
		`x := count(data.users)`:                                            false,
		`x := object.get(data.users, input.u, {})`:                          false,
		`x if { some u; data.users[u].ok }`:                                 false,
		`x if { data.users[_].ok }`:                                         false,
		`x if { some u, v in data.users; v.ok }`:                            false,
		`x := {u | data.users[u].ok}`:                                       false,
		`x if { every u, v in data.users { v[u] } }`:                        false,
		`x if { data.users[u].ok; u == input.u[_] }`:                        false,
		"y := 1 if data.other\nx if y with data.users as {}":                false,
		"x := 1 if input.a\nelse := 2 if data.users[_]":                     false,
	} {
		modules := map[string]string{"p.rego": "package p\n" + rules}
		src := &Sources{Modules: modules, Data: object(map[string]any{"users": map[string]any{}, "other": 1})}
		g, err := CompileSources(t.Context(), &Config{Entrypoint: "p/x"}, src)
		if err != nil {
			t.Fatalf("%s: %v", rules, err)
		}
		got, at := looksUp(g.compiler.Modules, storage.Path{"users"})
		if got != want || !got && location(at) == "?" {
			t.Errorf("%s: looks up is %v at %s, want %v", rules, got, location(at), want)
		}
	}
}
