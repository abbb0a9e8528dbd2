package opa

import "github.com/open-policy-agent/opa/v1/ast"

// Place is where a policy does something, as file:line.
type Place struct {
	At string // in the author's own files
	// Via is the line of the shipped library that the line at At leads to, or
	// empty.
	Via string
}

// String returns the place on one line.
func (p Place) String() string {
	if p.Via == "" {
		return p.At
	}
	return p.At + " (via " + p.Via + ")"
}

// where is what the analysis looks at.
type where struct {
	own     *ast.Location // the last line of the author's own
	library *ast.Location // the line of the library that it came to from there, or nil
}

func (w *where) move(l *ast.Location) {
	if isLibraryFile(l.File) {
		w.library = l
		return
	}
	*w = where{own: l}
}

func (w where) place() Place {
	switch {
	case w.own == nil: // an entrypoint of the library
		return Place{At: location(w.library)}
	case w.library == nil:
		return Place{At: location(w.own)}
	}
	return Place{At: location(w.own), Via: location(w.library)}
}
