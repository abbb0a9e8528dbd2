package descriptors

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is what is wrong at a place in a file.
type Problem struct {
	File    string
	Line    int
	Message string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Problems are all there are.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds what is said of one file.
const maxProblems = 50

func (c *compiler) bad(n *yaml.Node, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{c.file, n.Line, fmt.Sprintf(format, args...)})
	}
}
