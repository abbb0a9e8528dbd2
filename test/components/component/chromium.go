package component

import (
	"errors"
	"os"
	"path/filepath"
)

// chromium is the headless shell with everything below it but the C library:
// a machine for tests has no desktop. It runs as chromium-headless-shell, with
// --no-sandbox, and takes its fonts from FONTCONFIG_FILE in etc.
var chromium = Component{
	Name:     "chromium",
	From:     "Debian: chromium-headless-shell, its libraries and fonts",
	Programs: []string{"chromium-headless-shell"},
	Check:    []string{"chromium-headless-shell", "--no-sandbox", "--version"},
	recipe:   "debian",
	install:  installChromium,
}

// chromiumPackages are the package, what it links, and what that links.
var chromiumPackages = []string{
	"chromium-headless-shell", "chromium-common", "fonts-dejavu-core", "fonts-liberation",
	"libasound2", "libasyncns0", "libatk1.0-0", "libatspi2.0-0", "libblkid1", "libbrotli1", "libbsd0", "libbz2-1.0",
	"libcap2", "libdav1d6", "libdbus-1-3", "libdouble-conversion3", "libdrm2", "libexpat1", "libffi8", "libflac12",
	"libfontconfig1", "libfreetype6", "libgbm1", "libgcrypt20", "libglib2.0-0", "libgpg-error0", "libgraphite2-3",
	"libharfbuzz-subset0", "libharfbuzz0b", "libjpeg62-turbo", "liblcms2-2", "liblz4-1", "liblzma5", "libmd0",
	"libminizip1", "libmount1", "libmp3lame0", "libmpg123-0", "libnspr4", "libnss3", "libogg0", "libopenh264-7",
	"libopenjp2-7", "libopus0", "libpcre2-8-0", "libpng16-16", "libpulse0", "libselinux1", "libsndfile1",
	"libsqlite3-0", "libsystemd0", "libudev1", "libuuid1", "libvorbis0a", "libvorbisenc2", "libwayland-server0",
	"libx11-6", "libxau6", "libxcb1", "libxcomposite1", "libxdamage1", "libxdmcp6", "libxext6", "libxfixes3",
	"libxi6", "libxkbcommon0", "libxnvctrl0", "libxrandr2", "libxrender1", "libzstd1", "zlib1g",
}

const chromiumFonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">../share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>Liberation Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>Liberation Mono</family></prefer></alias>
</fontconfig>
`

func installChromium(i *installation) error {
	root, err := i.unpackDebian(chromiumPackages...)
	if err != nil {
		return err
	}
	// Its data files are looked for beside the program.
	for _, dir := range []string{"usr/lib/chromium", "usr/lib/chromium-headless-shell"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := i.moveInto("chromium", file); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"chromium-headless-shell", "headless_shell"} {
		if _, err := os.Stat(filepath.Join(i.dir, "chromium", name)); err == nil {
			if err := os.Symlink("../chromium/"+name, filepath.Join(i.dir, "bin", "chromium-headless-shell")); err != nil {
				return err
			}
			break
		}
	}
	libs := 0
	for _, pattern := range []string{"usr/lib/*-linux-gnu/*.so*", "lib/*-linux-gnu/*.so*", "usr/lib/*-linux-gnu/nss/*.so*", "usr/lib/*-linux-gnu/pulseaudio/*.so*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if info, err := os.Lstat(file); err != nil || info.IsDir() {
				continue
			}
			if err := i.moveInto("lib", file); err != nil {
				return err
			}
			libs++
		}
	}
	if libs == 0 {
		return errors.New("no libraries in the packages")
	}
	if err := i.moveInto("share", filepath.Join(root, "usr/share/fonts")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(i.dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(i.dir, "etc", "fonts.conf"), []byte(chromiumFonts), 0o644)
}
