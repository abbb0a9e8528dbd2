package als

import (
	"strings"
	"unicode/utf8"
)

// maxLabel is the length in bytes at which label values are cut.
const maxLabel = 512

// clean returns a copy of s that may be a label value: valid UTF-8 with U+FFFD in
// the place of what is not, without NUL, at most maxLabel bytes. It adds 1 to
// repaired if s was none; repaired may be nil.
func clean(s string, repaired *int) string {
	out := s
	if len(out) > maxLabel {
		out = out[:maxLabel]
		for i := 0; i < utf8.UTFMax && len(out) > 0; i++ { // not within a character
			if r, n := utf8.DecodeLastRuneInString(out); r != utf8.RuneError || n != 1 {
				break
			}
			out = out[:len(out)-1]
		}
	}
	out = strings.ToValidUTF8(out, "\uFFFD")
	if strings.IndexByte(out, 0) >= 0 {
		out = strings.ReplaceAll(out, "\x00", "\uFFFD")
	}
	if repaired != nil && out != s {
		*repaired++
	}
	return strings.Clone(out)
}
