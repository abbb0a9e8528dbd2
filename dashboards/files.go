package dashboards

import (
	"embed"
	"io/fs"
)

//go:embed files
var embedded embed.FS

// RulesFile is the file of recording rules and alerts.
const RulesFile = "tallygate.rules.yaml"

// Boards are the files of the boards, one JSON each.
func Boards() fs.FS { return sub("files/boards") }

// Rules is the file of recording rules and alerts, for Prometheus' rule_files.
func Rules() []byte {
	b, err := embedded.ReadFile("files/" + RulesFile)
	if err != nil {
		panic(err) // it is embedded
	}
	return b
}

func sub(dir string) fs.FS {
	f, err := fs.Sub(embedded, dir)
	if err != nil {
		panic(err) // a constant path
	}
	return f
}
