package opa

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	// Data is the base document.
	Data map[string]any
	// Revision names this version: that of the bundle, else a digest.
	Revision string
	// Files are the files read, sorted.
	Files []string

	digest string
	staged ast.Object // data of bundles, beside Data
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
	sum.Data = other.Data
	sum.Files = other.Files
	sum.Revision = s.Revision + "+" + other.Revision
	return &sum, nil
}

// Read reads the files, directories and bundles at paths.
//
// Within a directory, data files go under the path of their folder and names
// that begin with a dot are passed over, as are *_test.rego. A directory with a
// .manifest is read as a bundle: only its data.json and data.yaml are data.
func Read(paths []string) (*Sources, error) {
	r := reader{src: &Sources{Modules: map[string]string{}, Data: map[string]any{}}, digest: sha256.New()}
	var errs []error
	for _, p := range paths {
		if err := r.path(p); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
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
	src    *Sources
	digest interface {
		Write(p []byte) (int, error)
		Sum(b []byte) []byte
	}
	revisions []string
}

func (r *reader) path(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return fmt.Errorf("reading policies: %w", err)
	}
	if !info.IsDir() {
		return r.file(p, nil, false)
	}
	manifest, err := os.ReadFile(filepath.Join(p, ".manifest"))
	switch {
	case err == nil:
		var m bundle.Manifest
		if err := util.UnmarshalJSON(manifest, &m); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(p, ".manifest"), err)
		}
		if m.Revision != "" {
			r.revisions = append(r.revisions, m.Revision)
		}
		r.note(filepath.Join(p, ".manifest"), manifest)
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
	b, err := os.ReadFile(p)
	if err != nil {
		return fmt.Errorf("reading policies: %w", err)
	}
	r.note(p, b)
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

func (r *reader) note(p string, b []byte) {
	r.src.Files = append(r.src.Files, p)
	for _, s := range [][]byte{[]byte(p), b} {
		_, _ = r.digest.Write(binary.AppendUvarint(nil, uint64(len(s))))
		_, _ = r.digest.Write(s)
	}
}

func (r *reader) data(p string, b []byte, under []string) error {
	var doc any
	if err := util.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	for i := len(under) - 1; i >= 0; i-- {
		doc = map[string]any{under[i]: doc}
	}
	obj, ok := doc.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: data must be an object at the top, or lie in a folder that names it", p)
	}
	return merge(r.src.Data, obj, p, "data")
}

// merge adds what b has; a value that both have and that is not an object in
// both is an error.
func merge(a, b map[string]any, file, at string) error {
	for k, v := range b {
		old, ok := a[k]
		if !ok {
			a[k] = v
			continue
		}
		x, okX := old.(map[string]any)
		y, okY := v.(map[string]any)
		if !okX || !okY {
			return fmt.Errorf("%s: %s.%s is in another file already: remove it from one of them", file, at, k)
		}
		if err := merge(x, y, file, at+"."+k); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) bundle(p string, b []byte) error {
	bd, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(b), p)).
		WithSkipBundleVerification(true).
		WithProcessAnnotations(true).
		WithLazyLoadingMode(false).
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
	return merge(r.src.Data, bd.Data, p, "data")
}
