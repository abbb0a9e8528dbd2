package als

import (
	"strings"
	"unicode/utf8"
)

// maxLabel is the length in bytes at which label values are cut.
const maxLabel = 512

// valid returns s if it may be a label value: valid UTF-8 without NUL, at most
// maxLabel bytes. Of any other s it returns a repaired copy, with U+FFFD in the
// place of what may not be, and adds 1 to repaired.
func valid(s string, repaired *int) string {
	if len(s) <= maxLabel && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	*repaired++
	if len(s) > maxLabel {
		s = s[:maxLabel]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // not within a character
			if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	return strings.Clone(strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"))
}

// clean returns a copy of s that may be a label value.
func clean(s string) string {
	var repaired int
	return strings.Clone(valid(s, &repaired))
}
