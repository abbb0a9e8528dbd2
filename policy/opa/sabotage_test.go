package opa

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var oracleSabotage = flag.Bool("oracle.sabotage", false, "break the analysis in each known way and see that the oracle tells")

// sabotages are ways to break the analysis, one construct of Rego each: what is
// read, the code that reads it, and what is put in its place.
var sabotages = []struct{ what, file, old, new string }{
	{"functions replaced by with are taken for themselves", "analysis.go",
		"mocked:   mocksFunctions(c),",
		"mocked:   false,"},
	{"functions of policies replaced by with", "analysis.go",
		"found = found || len(r.Head.Args) > 0",
		"_ = r"},
	{"built-ins replaced by with", "analysis.go",
		"found = true // a built-in",
		""},
	{"calls that are seen after what is called", "analysis.go",
		"for a.changed = true; a.changed; {",
		"for range 1 {"},
	{"keys in a rule's head", "analysis.go",
		"for _, t := range r.Head.Ref()[1:] {",
		"for _, t := range r.Head.Ref()[:0] {"},
	{"elements of partial sets", "analysis.go",
		"if r.Head.Key != nil {",
		"if false {"},
	{"composed values of rules", "analysis.go",
		"if r.Head.Value != nil && !isVar(r.Head.Value) {",
		"if false {"},
	{"bodies", "analysis.go",
		"\ta.body(s, r.Body)\n\treturn s",
		"\treturn s"},
	{"else of what is read in full", "analysis.go",
		"\tfor ; r != nil; r = r.Else {\n\t\to := a.returned(r)",
		"\tfor ; r != nil; r = nil {\n\t\to := a.returned(r)"},
	{"values of rules read in full", "analysis.go",
		"\t\ta.readAll(o)\n\t\ta.at = at",
		"\t\t_ = o\n\t\ta.at = at"},
	{"what functions read of their arguments", "analysis.go",
		"return a.params[t]",
		"_ = t\n\t\treturn nil"},
	{"dynamic elements are stepped over", "analysis.go",
		"\t\t\t\texact = false\n\t\t\t\tbreak",
		"\t\t\t\tcontinue"},
	{"a dynamic reference is not the whole prefix", "analysis.go",
		"\t\t\t\texact = false\n\t\t\t\tbreak",
		"\t\t\t\tbreak"},
	{"arguments that are compared", "analysis_scope.go",
		"if _, param := s.params[b.v]; param {",
		"if false {"},
	{"several bindings", "analysis_scope.go",
		"return len(all) == 1 && all[0]",
		"return all[0]"},
	{"what with puts in", "analysis_walk.go",
		"\t\ta.term(s, w.Value)\n",
		""},
	{"domains of every", "analysis_walk.go",
		"\t\ta.term(s, t.Domain)\n",
		""},
	{"every", "analysis_walk.go",
		"\tcase *ast.Every:\n",
		"\tcase *ast.Every:\n\t\treturn\n"},
	{"bodies of every", "analysis_walk.go",
		"\t\ta.term(s, t.Value)\n\t\ta.body(s, t.Body)\n\tcase *ast.Not:",
		"\t\ta.term(s, t.Value)\n\tcase *ast.Not:"},
	{"bodies of not", "analysis_walk.go",
		"\tcase *ast.Not:\n\t\ta.body(s, t.Body)",
		"\tcase *ast.Not:"},
	{"right sides of and", "analysis_walk.go",
		"\tcase *ast.LogicalAnd:\n\t\ta.body(s, t.Lhs)\n\t\ta.body(s, t.Rhs)",
		"\tcase *ast.LogicalAnd:\n\t\ta.body(s, t.Lhs)"},
	{"right sides of or", "analysis_walk.go",
		"\tcase *ast.LogicalOr:\n\t\ta.body(s, t.Lhs)\n\t\ta.body(s, t.Rhs)",
		"\tcase *ast.LogicalOr:\n\t\ta.body(s, t.Lhs)"},
	{"what is passed on from a dynamic reference", "analysis_walk.go",
		"\t\ta.readAll(o)\n\t\treturn nil\n\t}\n\tfor _, p",
		"\t\treturn nil\n\t}\n\tfor _, p"},
	{"that something passed on is there", "analysis_walk.go",
		"\tfor _, p := range o {\n\t\tif len(p.path) > 0 {\n\t\t\ta.readKind(p)\n\t\t}\n\t}\n\treturn o\n",
		"\treturn o\n"},
	{"keys of references that are passed on", "analysis_walk.go",
		"\to, exact := a.resolve(s, ref, nil)\n\ta.elements(s, ref)",
		"\to, exact := a.resolve(s, ref, nil)"},
	{"keys of references", "analysis_walk.go",
		"\t\ta.readAll(o)\n\t\ta.elements(s, v)",
		"\t\ta.readAll(o)"},
	{"elements of arrays", "analysis_walk.go",
		"\tcase *ast.Array:\n\t\tv.Foreach(func(t *ast.Term) { a.term(s, t) })\n\tcase ast.Set:",
		"\tcase *ast.Array:\n\tcase ast.Set:"},
	{"elements of sets", "analysis_walk.go",
		"\tcase ast.Set:\n\t\tv.Foreach(func(t *ast.Term) { a.term(s, t) })",
		"\tcase ast.Set:"},
	{"values of objects", "analysis_walk.go",
		"a.term(s, k); a.term(s, t) })",
		"a.term(s, k) })"},
	{"bodies of array comprehensions", "analysis_walk.go",
		"\tcase *ast.ArrayComprehension:\n\t\ta.term(s, v.Term)\n\t\ta.body(s, v.Body)",
		"\tcase *ast.ArrayComprehension:\n\t\ta.term(s, v.Term)"},
	{"terms of set comprehensions", "analysis_walk.go",
		"\tcase *ast.SetComprehension:\n\t\ta.term(s, v.Term)\n",
		"\tcase *ast.SetComprehension:\n"},
	{"bodies of set comprehensions", "analysis_walk.go",
		"\tcase *ast.SetComprehension:\n\t\ta.term(s, v.Term)\n\t\ta.body(s, v.Body)",
		"\tcase *ast.SetComprehension:\n\t\ta.term(s, v.Term)"},
	{"values of object comprehensions", "analysis_walk.go",
		"\t\ta.term(s, v.Key)\n\t\ta.term(s, v.Value)\n\t\ta.body",
		"\t\ta.term(s, v.Key)\n\t\ta.body"},
	{"bodies of object comprehensions", "analysis_walk.go",
		"\t\ta.term(s, v.Value)\n\t\ta.body(s, v.Body)\n\tcase ast.Call",
		"\t\ta.term(s, v.Value)\n\tcase ast.Call"},
	{"else of rules that are passed through", "analysis_walk.go",
		"\t\t\t\tfor ; r != nil; r = r.Else {\n\t\t\t\t\to = o.add(a.returned(r))\n\t\t\t\t}",
		"\t\t\t\to = o.add(a.returned(r))"},
	{"several rules of one name as one alias", "analysis_walk.go",
		"complete(n.Values) {",
		"true {"},
	{"two complete rules as one alias", "analysis_walk.go",
		"\treturn n <= 1\n",
		"\treturn true\n"},
	{"rules with a variable in the head as one alias", "analysis_walk.go",
		"!r.Head.Ref().IsGround() || ",
		""},
	{"rules on the way of a reference", "analysis_walk.go",
		"\t\tfor _, r := range n.Values {\n\t\t\ta.full(r)\n\t\t}\n\t\tif last",
		"\t\tif last"},
	{"a dynamic data[x] is not widened", "analysis_walk.go",
		"if last || !isString(ref[i]) {",
		"if last {"},
	{"data below a reference", "analysis_walk.go",
		"if last || !isString(ref[i]) {",
		"if !last && !isString(ref[i]) {"},
	{"else of functions", "analysis_walk.go",
		"\t\tfor ; r != nil; r = r.Else {\n\t\t\trules = append(rules, r)\n\t\t}",
		"\t\trules = append(rules, r)"},
	{"what functions read", "analysis_walk.go",
		"\tfor _, r := range rules {\n\t\ta.full0(r)\n\t}",
		""},
	{"what functions return", "analysis_walk.go",
		"\to := a.returned(r)\n\tdefer",
		"\to := origins(nil); a.enter(r)\n\tdefer"},
	{"arguments that are patterns", "analysis_walk.go",
		"if o == nil || !passes(rules, i) {",
		"if o == nil {"},
	{"one variable for two arguments", "analysis_walk.go",
		"if j != i && contains(",
		"if j < 0 && contains("},
	{"arguments that are not passed on", "analysis_walk.go",
		"\t\t\trest = append(rest, t)\n",
		""},
	{"arguments of functions that are replaced", "analysis_walk.go",
		"opaque || a.mocked)",
		"opaque)"},
	{"object.get replaced", "analysis_walk.go",
		"if name == \"object.get\" && !opaque && !a.mocked {",
		"if name == \"object.get\" && !opaque {"},
	{"arguments of built-ins", "analysis_walk.go",
		"\tfor _, t := range args {\n\t\ta.term(s, t)\n\t}",
		""},
	{"what object.get finds", "analysis_walk.go",
		"\t\ta.readValue(origin{join(p.path, names...), p.own})\n",
		"\t\t_ = p\n"},
	{"the default of object.get", "analysis_walk.go",
		"\treturn args[2:]",
		"\treturn nil"},
	{"paths of object.get with something computed", "analysis_walk.go",
		"\t\t\tif !ok {\n\t\t\t\treturn nil\n\t\t\t}\n\t\t\tnames",
		"\t\t\tif !ok {\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\tnames"},
	{"the kind of what has an element read by its index", "shape.go",
		"\ta.indexed()\n",
		""},
	{"kinds", "shape.go",
		"\tfor _, r := range a.kinds {\n\t\tif",
		"\tfor _, r := range a.kinds {\n\t\tif false &&"},
	{"arrays built as objects", "input.go",
		"\t\tcase mesh.KindArray:\n\t\t\treturn n.array(r)\n",
		""},
	{"constants that read the input", "constants.go",
		"return len(a.values)+len(a.kinds) == 0",
		"return true"},
	{"constants under a with", "constants.go",
		"if e.withs == 0 {",
		"if true {"},
	{"rules inlined that a with replaces", "inline.go",
		"\tif replacesData(c) {\n\t\treturn nil\n\t}\n",
		""},
	{"rules inlined without their else", "inline.go",
		"r.Default || r.Else != nil || ",
		"r.Default || "},
}

// TestSabotage sees that the oracle, with the checks that it is given here, tells
// every sabotage. Without -oracle.sabotage it only sees that each still applies.
func TestSabotage(t *testing.T) {
	for _, s := range sabotages {
		t.Run(s.what, func(t *testing.T) {
			source, err := os.ReadFile(s.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), s.old); n != 1 {
				t.Fatalf("%s has it %d times, want once; what it breaks must be found anew: %s", s.file, n, s.old)
			}
			if *oracleSabotage {
				t.Parallel()
				sabotage(t, s.file, strings.Replace(string(source), s.old, s.new, 1))
			}
		})
	}
}

// sabotage runs the oracle over this package with another text of file.
func sabotage(t *testing.T, file, text string) {
	dir := t.TempDir()
	broken, overlay := filepath.Join(dir, file), filepath.Join(dir, "overlay.json")
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, broken, text)
	write(t, overlay, string(replace))
	// Vet would refuse what is now unused or unreachable.
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-overlay", overlay, "-run", "^TestOracle$", ".",
		"-oracle.checks", flag.Lookup("oracle.checks").Value.String(), "-oracle.seed", flag.Lookup("oracle.seed").Value.String())
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Error("the oracle did not tell")
	case !bytes.Contains(out, []byte("--- FAIL: TestOracle")):
		t.Errorf("the oracle did not run: %s", out)
	}
}
