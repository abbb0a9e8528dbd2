package component

import (
	"fmt"
	"os"
	"path/filepath"
)

// unpackDebian downloads packages of the machine's own Debian release and
// unpacks them, uninstalled, into one tree that it returns. The system's
// package lists serve if they do; else private ones are fetched beside the
// cache, which needs no root and changes nothing on the machine.
func (i *installation) unpackDebian(packages ...string) (root string, err error) {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if err := need(tool, "this component comes from a Debian package; use Debian, Ubuntu or a container of one"); err != nil {
			return "", err
		}
	}
	i.step("downloading Debian packages %v", packages)
	args := append([]string{"-o", "APT::Sandbox::User=root", "download"}, packages...)
	if first := i.exec("apt-get", args...); first != nil {
		if i.Err() != nil {
			return "", i.Err()
		}
		i.step("the machine's package lists do not serve; fetching lists of our own")
		private, err := i.privateLists()
		if err == nil {
			err = i.exec("apt-get", append(private, args...)...)
		}
		if err != nil {
			return "", fmt.Errorf("%w\nand with package lists of our own: %w\nif the lists are old or missing: sudo apt-get update", first, err)
		}
	}
	debs, err := filepath.Glob(filepath.Join(i.work(), "*.deb"))
	if err != nil {
		return "", err
	}
	root = filepath.Join(i.work(), "root")
	i.step("unpacking")
	for _, deb := range debs {
		if err := i.exec("dpkg-deb", "-x", deb, root); err != nil {
			return "", err
		}
	}
	return root, nil
}

// privateLists fetches package lists into the cache and returns the options
// that make apt use them.
func (i *installation) privateLists() ([]string, error) {
	dir := filepath.Join(i.cache.Dir, "apt")
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	unlock, err := lock(i, filepath.Join(dir, "lock"), func() { i.step("waiting for another fetch of the lists") })
	if err != nil {
		return nil, err
	}
	defer unlock()
	opts := []string{"-o", "Dir::State::lists=" + filepath.Join(dir, "lists"), "-o", "Dir::Cache=" + filepath.Join(dir, "cache")}
	return opts, i.exec("apt-get", append(opts[:len(opts):len(opts)], "-o", "APT::Sandbox::User=root", "update")...)
}
