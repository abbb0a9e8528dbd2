package opa

import (
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/tallygate/tallygate/mesh"
)

// analysis walks the compiled rules that a query reaches and notes what they
// read of the input.
//
// Its ground rule: every reference into the input that occurs anywhere in a
// reachable rule is read in full, as far as its elements are constant strings.
// That alone is complete. All else is precision: where a value is only passed
// on (bound to a variable, handed to a function, returned by a complete rule),
// it is read as far as those who take it read it, and itself only for its
// presence and kind. A variable is such an alias only if one equation binds it,
// and then any use of it that is not passing on or selecting by a constant key
// reads it in full.
type analysis struct {
	c        *ast.Compiler
	values   map[string]read // by path
	kinds    map[string]read
	builtins map[string]Place // by name

	params map[*ast.Term]origins // what functions are called with, by head argument
	scopes map[*ast.Rule]*scope
	mocked bool // a function is replaced by `with`: calls may go anywhere

	visited map[*ast.Rule]bool // in this pass
	changed bool
	at      where
}

type read struct {
	path mesh.Path
	at   Place
}

// origins are the input paths that a value may have been taken from.
type origins map[string]origin

type origin struct {
	path mesh.Path
	own  *ast.Location // where the author's policy hands it on to a function
}

func analyse(c *ast.Compiler, entry ast.Ref) *analysis {
	a := &analysis{
		c:        c,
		values:   map[string]read{},
		kinds:    map[string]read{},
		builtins: map[string]Place{},
		params:   map[*ast.Term]origins{},
		scopes:   map[*ast.Rule]*scope{},
		mocked:   mocksFunctions(c),
	}
	// What a function is called with is known only when all calls are seen.
	// Reads only grow, from one pass to the next; there are finitely many.
	for a.changed = true; a.changed; {
		a.changed = false
		a.visited = map[*ast.Rule]bool{}
		a.data(nil, entry, false)
	}
	return a
}

// mocksFunctions reports whether any `with` replaces a function.
func mocksFunctions(c *ast.Compiler) bool {
	found := false
	for _, m := range c.Modules {
		ast.WalkWiths(m, func(w *ast.With) bool {
			ref, ok := w.Target.Value.(ast.Ref)
			switch {
			case !ok || len(ref) == 0:
				found = true
			case ref[0].Equal(ast.InputRootDocument):
			case ref[0].Equal(ast.DefaultRootDocument):
				for _, r := range c.GetRulesExact(ref) {
					found = found || len(r.Head.Args) > 0
				}
			default:
				found = true // a built-in
			}
			return false
		})
	}
	return found
}

func (a *analysis) readValue(o origin) { a.note(a.values, o) }
func (a *analysis) readKind(o origin)  { a.note(a.kinds, o) }

func (a *analysis) note(m map[string]read, o origin) {
	key := o.path.String()
	if _, ok := m[key]; !ok {
		at := a.at
		if at.library != nil && o.own != nil {
			at.own = o.own
		}
		m[key] = read{o.path, at.place()}
		a.changed = true
	}
}

func (a *analysis) readAll(o origins) {
	for _, p := range o {
		a.readValue(p)
	}
}

// builtin notes that name may be called.
func (a *analysis) builtin(name string) {
	if _, ok := a.builtins[name]; !ok {
		a.builtins[name] = a.at.place()
		a.changed = true
	}
}

// enter visits a rule, not its else, once per pass.
func (a *analysis) enter(r *ast.Rule) *scope {
	s := a.scopes[r]
	if s == nil {
		s = newScope(r)
		a.scopes[r] = s
	}
	if a.visited[r] {
		return s
	}
	a.visited[r] = true
	defer func(at where) { a.at = at }(a.at)
	a.at.move(r.Location)
	// Arguments are variables and patterns of them: what reads is moved into the
	// body by the compiler.
	for _, t := range r.Head.Ref()[1:] {
		a.term(s, t)
	}
	if r.Head.Key != nil {
		a.term(s, r.Head.Key)
	}
	if r.Head.Value != nil && !isVar(r.Head.Value) {
		a.term(s, r.Head.Value)
	}
	a.body(s, r.Body)
	return s
}

// returned gives where the value of a rule comes from, if it is passed on as it
// is; else the value is read where it is made.
func (a *analysis) returned(r *ast.Rule) origins {
	s := a.enter(r)
	if r.Head.Value == nil || !isVar(r.Head.Value) {
		return nil
	}
	return a.alias(s, r.Head.Value.Value.(ast.Var), nil)
}

// full visits a rule and reads its value in full.
func (a *analysis) full(r *ast.Rule) {
	for ; r != nil; r = r.Else {
		o := a.returned(r)
		at := a.at
		a.at.move(r.Location)
		a.readAll(o)
		a.at = at
	}
}

// alias gives where the value of a variable comes from. seen guards against
// circles.
func (a *analysis) alias(s *scope, v ast.Var, seen map[ast.Var]bool) origins {
	if t, ok := s.params[v]; ok {
		return a.params[t]
	}
	b := s.bindings[v]
	if len(b) != 1 || b[0].ref == nil || seen[v] {
		return nil
	}
	if seen == nil {
		seen = map[ast.Var]bool{}
	}
	seen[v] = true
	defer delete(seen, v)
	o, exact := a.resolve(s, b[0].ref, seen)
	if !exact {
		return nil // read in full where it is bound
	}
	return o
}

// resolve gives where a reference leads in the input, and whether it leads
// exactly there: else what it gives is a prefix.
func (a *analysis) resolve(s *scope, ref ast.Ref, seen map[ast.Var]bool) (o origins, exact bool) {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return nil, true
	}
	switch {
	case ref[0].Equal(ast.InputRootDocument):
		o = origins{"input": {}}
	case ref[0].Equal(ast.DefaultRootDocument):
		return a.data(s, ref, true)
	case s != nil:
		o = a.alias(s, head, seen)
	}
	return o.extend(ref[1:])
}

// extend follows the constant elements of ref that a path can hold. Where all
// are followed for all origins, it is exact.
func (o origins) extend(ref ast.Ref) (out origins, exact bool) {
	out, exact = make(origins, len(o)), true
	for _, p := range o {
		q := origin{join(p.path), p.own}
		for _, t := range ref {
			name, ok := element(q.path, t)
			if !ok {
				exact = false
				break
			}
			q.path = append(q.path, name)
		}
		out[q.path.String()] = q
	}
	if len(o) == 0 {
		for _, t := range ref {
			_, ok := t.Value.(ast.String)
			exact = exact && ok
		}
	}
	return out, exact
}

// element gives the name of t below p. What looks like an index names an element
// of an array as well as a field, and is followed only where arrays are common:
// the shape then has the kind of what is at p.
func element(p mesh.Path, t *ast.Term) (name string, ok bool) {
	switch v := t.Value.(type) {
	case ast.String:
		return string(v), !isIndex(string(v)) || parsed(p)
	case ast.Number:
		return string(v), isIndex(string(v)) && parsed(p)
	}
	return "", false
}

func parsed(p mesh.Path) bool {
	return len(p) > 0 && (p[0] == "parsed_path" || p[0] == "parsed_query" || p[0] == "parsed_body")
}

// isIndex reports whether name is spelt as the index of an array's element is. No
// array is long enough for more than six digits.
func isIndex(name string) bool {
	for _, c := range name {
		if c < '0' || c > '9' {
			return false
		}
	}
	return name == "0" || name != "" && name[0] != '0' && len(name) <= 6
}

func (o origins) add(more origins) origins {
	if o == nil {
		o = origins{}
	}
	maps.Copy(o, more)
	return o
}
