package rego

import (
	"embed"
	"io/fs"
	"strings"
)

// Permissive allows every request.
//
//go:embed permissive.rego
var Permissive string

//go:embed abac.rego cidr.rego grpc.rego istio.rego jwks.rego jwt.rego mtls.rego path.rego rbac.rego request.rego spiffe.rego
var files embed.FS

// Library is the text of each package of the library by the name below
// data.tallygate; request.rego is data.tallygate itself, by the name "".
var Library = library()

func library() map[string]string {
	all := map[string]string{}
	names, err := fs.Glob(files, "*.rego")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		key := strings.TrimSuffix(name, ".rego")
		if key == "request" {
			key = ""
		}
		all[key] = string(b)
	}
	return all
}
