package tallygate

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tallygate/tallygate/"

// mayNotDepend is the import table of docs/architecture.md: no package below
// one of in may depend, however indirectly, on a package below one of on.
var mayNotDepend = []struct {
	in, except, on []string
	why            string
}{
	{
		in:  []string{"ingest"},
		on:  []string{"policy", "red", "spans", "exporters", "storage", "collector", "github.com/open-policy-agent/opa"},
		why: "what proxies speak to hands batches and requests to mesh's seams; it does not know who takes them",
	},
	{
		in:  []string{"policy"},
		on:  []string{"ingest", "red", "spans", "exporters", "storage", "github.com/envoyproxy", "google.golang.org/grpc"},
		why: "the decider judges mesh.Request, whatever protocol it came by",
	},
	{
		in: []string{"red"},
		on: []string{
			"ingest", "policy", "spans", "exporters", "storage",
			"github.com/envoyproxy", "github.com/prometheus", "go.opentelemetry.io",
		},
		why: "the table counts; how its figures are written down is the exporters' business",
	},
	{
		in:  []string{"spans"},
		on:  []string{"ingest", "policy", "red", "exporters", "storage", "github.com/envoyproxy", "github.com/apache/thrift", "github.com/apache/cassandra-gocql-driver"},
		why: "pdata is its output",
	},
	{
		in:  []string{"exporters"},
		on:  []string{"ingest", "policy", "storage"},
		why: "an exporter's input is pdata or red's snapshot",
	},
	{
		in:  []string{"storage"},
		on:  []string{"ingest", "policy", "red", "exporters"},
		why: "a store's input is pdata",
	},
	{
		in: []string{"jaegermodel"},
		on: []string{
			"ingest", "policy", "red", "spans", "exporters", "storage", "mesh",
			"github.com/apache", "github.com/jaegertracing", "github.com/uber",
		},
		why: "exporters and stores, which do not know each other, share this one mapping: it is a leaf over pdata",
	},
	{
		in:  []string{"mesh", "ingest", "policy", "red", "spans", "exporters", "storage"},
		on:  []string{"dashboards"},
		why: "boards and rules read the names of the stages' metrics; no stage knows who looks at it",
	},
	{
		in:     []string{""},
		except: []string{"cmd", "collector", "test"},
		on:     []string{"collector"},
		why:    "collector components are hosted at the edges; only the wiring may know that",
	},
	{
		in:     []string{""},
		except: []string{"cmd", "test"},
		on:     []string{"cmd", "test"},
		why:    "nothing depends on the wiring or on the test bed",
	},
}

// onlyIn names the modules that exactly one place may import.
var onlyIn = []struct{ module, in, why string }{
	{"github.com/open-policy-agent/opa", "policy/opa", "OPA is an engine behind mesh.Decider, to be replaced in one place"},
	{"github.com/uber/jaeger-client-go", "exporters/jaeger", "Thrift stays in the exporter for installations before OTLP"},
	{"github.com/apache/cassandra-gocql-driver", "storage/cassandra", "CQL stays in its store"},
	{"github.com/redis/rueidis", "policy/quota", "Redis is a source of quotas and of nothing else"},
	{"golang.org/x/term", "cmd/tallygate", "only the command line has a terminal"},
	{"github.com/chromedp", "test", "a browser is for tests of the console"},
}

// strangers are folders whose children do not know each other.
var strangers = []string{"exporters", "storage"}

// maxFile is the size above which a file probably holds more than one noun.
const maxFile = 15 << 10

type pkg struct {
	ImportPath, Name, Dir string
	Imports, Deps         []string
	GoFiles               []string
}

func (p *pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range mayNotDepend {
			if !underAny(p.path(), rule.in) || underAny(p.path(), rule.except) {
				continue
			}
			for _, dep := range p.Deps {
				if underAny(strings.TrimPrefix(dep, module), rule.on) {
					t.Errorf("%s depends on %s: %s", p.path(), dep, rule.why)
				}
			}
		}
		for _, dep := range p.Deps {
			dep = strings.TrimPrefix(dep, module)
			if a, b := child(p.path()), child(dep); a != b && a != "" && b != "" && filepath.Dir(a) == filepath.Dir(b) {
				t.Errorf("%s depends on %s: each sink can be taken away without the others noticing", p.path(), dep)
			}
		}
		for _, rule := range onlyIn {
			if under(p.path(), rule.in) {
				continue
			}
			for _, dep := range p.Imports {
				if under(dep, rule.module) {
					t.Errorf("%s imports %s, which only %s may: %s", p.path(), dep, rule.in, rule.why)
				}
			}
		}
	}
}

func TestMeshIsPlain(t *testing.T) {
	for _, p := range packages(t) {
		if p.path() != "mesh" {
			continue
		}
		for _, dep := range p.Deps {
			if strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") {
				t.Errorf("mesh depends on %s: everything imports the dictionary, so it imports the standard library only", dep)
			}
		}
		return
	}
	t.Fatal("no package mesh")
}

// TestOneDocPerPackage: the package comment is the contract, in doc.go.
func TestOneDocPerPackage(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		var commented []string
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				commented = append(commented, name)
			}
		}
		if !slices.Equal(commented, []string{"doc.go"}) {
			t.Errorf("%s: package comment in %v; want it in doc.go alone", p.path(), commented)
		}
	}
}

func TestFileSizes(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFile {
			t.Errorf("%s is %d bytes, more than %d: is it one noun?", path, info.Size(), maxFile)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// packages lists the module's packages, those behind the e2e tag included.
func packages(t *testing.T) []*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags=e2e", "-json=ImportPath,Name,Dir,Imports,Deps,GoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var list []*pkg
	for dec := json.NewDecoder(out); ; {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		if len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(list) == 0 {
		t.Fatal("go list found no package")
	}
	return list
}

// child returns the first two elements of a path below one of strangers, ""
// for any other.
func child(path string) string {
	elems := strings.SplitN(path, "/", 3)
	if len(elems) < 2 || !slices.Contains(strangers, elems[0]) || elems[0] == "storage" && elems[1] == "storagetest" {
		return ""
	}
	return elems[0] + "/" + elems[1]
}

// under reports whether path is root or below it; everything of the module is
// below "".
func under(path, root string) bool {
	return root == "" || path == root || strings.HasPrefix(path, root+"/")
}

func underAny(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return under(path, root) })
}
