package admin

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// TokenFile returns the default path of the token of the endpoint at address
// (host:port, or the path of a socket). Only the port counts: the server knows
// itself as 0.0.0.0, its client as localhost.
func TokenFile(address string) (string, error) {
	name := strings.TrimSuffix(filepath.Base(address), ".sock")
	if _, port, err := net.SplitHostPort(address); err == nil {
		name = port
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("finding a directory for the admin token: %w; set admin.token_file", err)
		}
	}
	return filepath.Join(dir, "tallygate", "admin-"+name+".token"), nil
}

// writeToken writes a new token to path, whole and readable by its owner only.
func writeToken(path string) (token string, err error) {
	token = rand.Text()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".token-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(token + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return token, nil
}

// removeToken removes the file unless another instance has since written its
// own there.
func removeToken(path, token string) {
	if b, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(b)) == token {
		os.Remove(path)
	}
}
