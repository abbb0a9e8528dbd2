package telemetry

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -X .../internal/telemetry.version=v1.2.3
var version string

// Build says what this binary is.
type Build struct {
	Version   string `json:"version"`  // v1.2.3, or "devel"
	Revision  string `json:"revision"` // of the source; empty if unknown
	Modified  bool   `json:"modified"` // the source had uncommitted changes
	Date      string `json:"date"`     // of the revision, RFC 3339; empty if unknown
	GoVersion string `json:"go_version"`
	Platform  string `json:"platform"`
}

// ReadBuild returns what the Go tool chain recorded.
func ReadBuild() Build {
	b := Build{Version: version, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Date = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}
