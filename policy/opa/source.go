package opa

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

// Sources is what a generation is compiled from, read at one moment.
type Sources struct {
	// Modules are Rego texts by file name.
	Modules map[string]string
	// Data is the base document, but for what is packed; nil means none.
	Data ast.Object
	// Revision names this version: that of the bundle, else a digest.
	Revision string
	// Files are the files read, sorted.
	Files []string

	digest string
	packed []*packed  // large objects; Data has an empty one in the place of each
	staged ast.Object // data of bundles, beside Data
	pace   *pacer     // of what is still to be made of this
}

// with adds what other has, which may be nil.
func (s *Sources) with(other *Sources) (*Sources, error) {
	if other == nil {
		return s, nil
	}
	sum := *s
	sum.Modules = maps.Clone(s.Modules)
	for name, text := range other.Modules {
		if _, ok := sum.Modules[name]; ok {
			return nil, fmt.Errorf("%s: is in a bundle as well as in paths", name)
		}
		sum.Modules[name] = text
	}
	sum.Data, sum.packed, sum.pace = other.Data, other.packed, other.pace
	sum.Files = other.Files
	sum.Revision = s.Revision + "+" + other.Revision
	return &sum, nil
}

// Read reads the files, directories and bundles at paths.
//
// Within a directory, data files go under the path of their folder and names
// that begin with a dot are passed over, as are *_test.rego. A directory with a
// .manifest is read as a bundle: only its data.json and data.yaml are data.
//
// A large object of JSON, of which policies look members up by name, stays text:
// see packed.
func Read(paths []string) (*Sources, error) { return newReader(nil).read(paths) }

// digestOf returns what Sources.digest would be if paths were read now.
func digestOf(paths []string, p *pacer) (string, error) {
	r := newReader(p)
	r.skim = true
	src, err := r.read(paths)
	if err != nil {
		return "", err
	}
	return src.digest, nil
}

func newReader(p *pacer) *reader {
	return &reader{
		src:    &Sources{Modules: map[string]string{}, Data: ast.NewObject(), pace: p},
		digest: sha256.New(), pace: p, minPacked: minPacked,
	}
}

func (r *reader) read(paths []string) (*Sources, error) {
	var errs []error
	for _, p := range paths {
		if err := r.path(p); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := r.unpackShared(); err != nil {
		return nil, err
	}
	slices.Sort(r.src.Files)
	r.src.digest = hex.EncodeToString(r.digest.Sum(nil))
	r.src.Revision = strings.Join(r.revisions, "+")
	if r.src.Revision == "" {
		r.src.Revision = r.src.digest[:12]
	}
	return r.src, nil
}

type reader struct {
	src       *Sources
	digest    hash.Hash
	revisions []string
	pace      *pacer
	skim      bool // read for the digest alone
	minPacked int
}

func (r *reader) path(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return fmt.Errorf("reading policies: %w", err)
	}
	if !info.IsDir() {
		return r.file(p, nil, false)
	}
	manifest, err := r.noted(filepath.Join(p, ".manifest"))
	switch {
	case err == nil && !r.skim:
		var m bundle.Manifest
		if err := util.UnmarshalJSON(manifest, &m); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(p, ".manifest"), err)
		}
		if m.Revision != "" {
			r.revisions = append(r.revisions, m.Revision)
		}
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading policies: %w", err)
	}
	return r.dir(p, nil, err == nil)
}

// dir follows symbolic links, which is how Kubernetes mounts files.
func (r *reader) dir(dir string, under []string, bundled bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading policies: %w", err)
	}
	if len(under) > 32 {
		return fmt.Errorf("%s: more than 32 directories deep: is there a loop of symbolic links?", dir)
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		p := filepath.Join(dir, name)
		info, err := os.Stat(p)
		switch {
		case err != nil:
			err = fmt.Errorf("reading policies: %w", err)
		case info.IsDir():
			err = r.dir(p, append(slices.Clip(under), name), bundled)
		case strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, "_test.rego"):
		case bundled && filepath.Ext(name) != ".rego" && name != "data.json" && name != "data.yaml" && name != "data.yml":
		case known(name):
			err = r.file(p, under, true)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func known(name string) bool {
	switch filepath.Ext(name) {
	case ".rego", ".json", ".yaml", ".yml":
		return true
	}
	return false
}

func (r *reader) file(p string, under []string, inDir bool) error {
	b, err := r.noted(p)
	if err != nil {
		return fmt.Errorf("reading policies: %w", err)
	}
	if r.skim {
		return nil
	}
	switch {
	case strings.HasSuffix(p, ".tar.gz") && !inDir:
		return r.bundle(p, b)
	case filepath.Ext(p) == ".rego":
		r.src.Modules[p] = string(b)
		return nil
	case known(p):
		return r.data(p, b, under)
	}
	return fmt.Errorf("%s: is neither Rego (.rego), data (.json, .yaml) nor a bundle (.tar.gz)", p)
}

// noted reads a file and enters it into the digest, piece by piece: to read 50 MB
// at once holds a core for tens of milliseconds. It returns nothing when skimming.
func (r *reader) noted(p string) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	const piece = 64 << 10
	var text []byte
	if !r.skim {
		text = make([]byte, 0, info.Size()+1)
	}
	var size int64
	sum := sha256.New()
	for buf := make([]byte, piece); ; {
		n, err := f.Read(buf)
		_, _ = sum.Write(buf[:n])
		size += int64(n)
		if !r.skim {
			text = append(text, buf[:n]...)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		r.pace.look()
	}
	r.src.Files = append(r.src.Files, p)
	fmt.Fprintf(r.digest, "%q %d %x\n", p, size, sum.Sum(nil))
	return text, nil
}

func (r *reader) data(p string, b []byte, folders []string) error {
	doc, err := r.document(p, b, folders)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	obj, ok := under(folders, doc).(ast.Object)
	if !ok {
		return fmt.Errorf("%s: data must be an object at the top, or lie in a folder that names it", p)
	}
	return r.add(obj, p)
}

// under puts v under a path.
func under(path []string, v ast.Value) ast.Value {
	for _, name := range slices.Backward(path) {
		v = ast.NewObject(ast.Item(ast.StringTerm(name), ast.NewTerm(v)))
	}
	return v
}

// document returns what the file p has, with an empty object for each that is
// packed.
func (r *reader) document(p string, b []byte, folders []string) (ast.Value, error) {
	if filepath.Ext(p) != ".json" {
		var doc any
		if err := util.Unmarshal(b, &doc); err != nil {
			return nil, err
		}
		return ast.InterfaceToValue(doc)
	}
	objects, err := findPacked(b, r.minPacked, len(folders) > 0, r.pace)
	if err != nil {
		return nil, err
	}
	rest, end := b, 0
	if len(objects) > 0 {
		rest = nil
		for _, o := range objects {
			rest = append(append(rest, b[end:o.start]...), "{}"...)
			end = o.end
			r.src.packed = append(r.src.packed, newPacked(append(slices.Clone(folders), o.path...), p, b[o.start:o.end], o.members, r.pace))
		}
		rest = append(rest, b[end:]...)
	}
	return readJSON(rest, r.pace)
}

// unpackShared makes values of the packed objects that other files have members
// of, too.
func (r *reader) unpackShared() error {
	kept := r.src.packed[:0]
	for i, p := range r.src.packed {
		alone := !slices.ContainsFunc(r.src.packed[i+1:], func(q *packed) bool { return slices.Equal(p.path, q.path) })
		if obj, ok := descend(r.src.Data, p.path).(ast.Object); alone && ok && obj.Len() == 0 {
			kept = append(kept, p)
			continue
		}
		if err := r.add(under(p.path, p.unpack(r.pace)).(ast.Object), p.file); err != nil {
			return err
		}
	}
	r.src.packed = kept
	return nil
}

// add adds data that is from file.
func (r *reader) add(data ast.Object, file string) error {
	sum, err := merge(r.src.Data, data, file, "data")
	if err == nil {
		r.src.Data = sum
	}
	return err
}

// merge returns what a or b have; a value that both have and that is not an
// object in both is an error.
func merge(a, b ast.Object, file, at string) (ast.Object, error) {
	if a.Len() == 0 {
		return b, nil
	}
	sum := ast.NewObjectWithCapacity(a.Len() + b.Len())
	var err error
	a.Until(func(k, v *ast.Term) bool {
		other := b.Get(k)
		if other == nil {
			sum.Insert(k, v)
			return false
		}
		at := at + "." + strings.Trim(k.Value.String(), `"`)
		x, okX := v.Value.(ast.Object)
		y, okY := other.Value.(ast.Object)
		if !okX || !okY {
			err = fmt.Errorf("%s: %s is in another file already: remove it from one of them", file, at)
			return true
		}
		var both ast.Object
		if both, err = merge(x, y, file, at); err != nil {
			return true
		}
		sum.Insert(k, ast.NewTerm(both))
		return false
	})
	if err != nil {
		return nil, err
	}
	b.Foreach(func(k, v *ast.Term) {
		if a.Get(k) == nil {
			sum.Insert(k, v)
		}
	})
	return sum, nil
}

func (r *reader) bundle(p string, b []byte) error {
	bd, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(b), p)).
		WithSkipBundleVerification(true).
		WithProcessAnnotations(true).
		WithLazyLoadingMode(true). // the data comes as text
		Read()
	if err != nil {
		return fmt.Errorf("%s: reading the bundle: %w", p, err)
	}
	if bd.Manifest.Revision != "" {
		r.revisions = append(r.revisions, bd.Manifest.Revision)
	}
	for _, m := range bd.Modules {
		if !strings.HasSuffix(m.Path, "_test.rego") {
			r.src.Modules[p+":"+strings.TrimPrefix(m.Path, p)] = string(m.Raw)
		}
	}
	of := newReader(r.pace)
	of.minPacked = r.minPacked
	for _, raw := range bd.Raw {
		switch path.Base(raw.Path) {
		case "data.json", "data.yaml", "data.yml":
			folders := strings.FieldsFunc(path.Dir(path.Clean("/"+raw.Path)), func(c rune) bool { return c == '/' })
			if err := of.data(p+":"+raw.Path, raw.Value, folders); err != nil {
				return err
			}
		}
	}
	if err := of.unpackShared(); err != nil {
		return err
	}
	if err := of.within(*bd.Manifest.Roots); err != nil { // the reader sees to it that there are some
		return fmt.Errorf("%s: %w", p, err)
	}
	r.src.packed = append(r.src.packed, of.src.packed...)
	return r.add(of.src.Data, p)
}

// within fails unless all data is below the roots of a bundle's manifest. What is
// packed above one is unpacked.
func (r *reader) within(roots []string) error {
	kept := r.src.packed[:0]
	for _, p := range r.src.packed {
		if bundle.RootPathsContain(roots, strings.Join(p.path, "/")) {
			kept = append(kept, p)
		} else {
			r.src.Data = p.into(r.src.Data, p.unpack(r.pace))
		}
	}
	r.src.packed = kept
	return permitted(r.src.Data, "", roots)
}

func permitted(v ast.Value, at string, roots []string) error {
	if bundle.RootPathsContain(roots, at) {
		return nil
	}
	obj, ok := v.(ast.Object)
	if ok && obj.Len() == 0 {
		return nil
	}
	if !ok || !slices.ContainsFunc(roots, func(root string) bool { return at == "" || strings.HasPrefix(root, at+"/") }) {
		return fmt.Errorf("the bundle has data at /%s, outside of the roots of its manifest: %s", at, strings.Join(roots, ", "))
	}
	var err error
	obj.Until(func(k, v *ast.Term) bool {
		name, _ := k.Value.(ast.String) // as in JSON
		err = permitted(v.Value, strings.TrimPrefix(at+"/"+string(name), "/"), roots)
		return err != nil
	})
	return err
}
