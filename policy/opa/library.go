package opa

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/tallygate/tallygate/policy/rego"
)

// libraryRoot is what the packages of the shipped library are below.
const libraryRoot = ast.String("tallygate")

// addLibrary adds the packages of the shipped library that modules refer to, and
// those that these do. A package of the same name among modules is used instead.
func addLibrary(modules map[string]*ast.Module, opts ast.ParserOptions) error {
	own := map[string]bool{}
	var left []string
	for _, m := range modules {
		if name, ok := libraryPackage(m.Package.Path); ok {
			own[name] = true
		}
		left = append(left, libraryRefs(m)...)
	}
	for len(left) > 0 {
		name := left[len(left)-1]
		left = left[:len(left)-1]
		text, shipped := rego.Library[name]
		if own[name] || !shipped {
			continue
		}
		own[name] = true
		file := libraryFile(name)
		m, err := ast.ParseModuleWithOpts(file, text, opts)
		if err != nil {
			var errs ast.Errors
			if errors.As(err, &errs) {
				return explain(errs)
			}
			return fmt.Errorf("%s: %w", file, err)
		}
		modules[file] = m
		left = append(left, libraryRefs(m)...)
	}
	return nil
}

// libraryFile names the file of a package in locations.
func libraryFile(name string) string {
	if name == "" {
		name = "request"
	}
	return "tallygate:" + name + ".rego"
}

func isLibraryFile(file string) bool { return strings.HasPrefix(file, "tallygate:") }

func libraryPackage(path ast.Ref) (name string, ok bool) {
	if len(path) < 2 || path[1].Value.Compare(libraryRoot) != 0 {
		return "", false
	}
	switch len(path) {
	case 2:
		return "", true
	case 3:
		s, _ := path[2].Value.(ast.String)
		return string(s), true
	}
	return "", false
}

// libraryRefs are the packages of the library that m refers to. What is not
// known before evaluation refers to all of them but those that reach out of it.
func libraryRefs(m *ast.Module) (names []string) {
	roots := map[ast.Var]bool{} // of import data.tallygate
	var imported []*ast.Term
	for _, imp := range m.Imports {
		imported = append(imported, imp.Path)
		if ref, ok := imp.Path.Value.(ast.Ref); ok && len(ref) == 2 && ref.HasPrefix(ast.Ref{ast.DefaultRootDocument, ast.NewTerm(libraryRoot)}) {
			roots[imp.Name()] = true
		}
	}
	add := func(rest ast.Ref) {
		if len(rest) == 0 {
			return // an import, or data.tallygate as a value: it has no rules of its own
		}
		s, constant := rest[0].Value.(ast.String)
		switch _, shipped := rego.Library[string(s)]; {
		case !constant:
			names = append(names, slices.DeleteFunc(slices.Collect(maps.Keys(rego.Library)), func(n string) bool { return n == "jwks" })...)
		case shipped:
			names = append(names, string(s))
		default:
			names = append(names, "") // a rule of data.tallygate itself
		}
	}
	visit := func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		if !ok || len(ref) < 2 {
			return false
		}
		if head, _ := ref[0].Value.(ast.Var); roots[head] {
			add(ref[1:])
		} else if ref[0].Equal(ast.DefaultRootDocument) && ref[1].Value.Compare(libraryRoot) == 0 {
			add(ref[2:])
		}
		return false
	}
	for _, t := range imported {
		visit(t)
	}
	for _, r := range m.Rules {
		ast.WalkTerms(r, visit)
	}
	return names
}
