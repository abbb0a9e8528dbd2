package extauthz

import (
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/mesh"
)

// Why a result of a policy cannot be carried out.
const (
	refusedName        = "header_name"  // not a header name: a pseudo-header, empty, or with a character that ends it
	refusedValue       = "header_value" // CR, LF, NUL or not UTF-8
	refusedQuery       = "query"        // not UTF-8
	refusedStatus      = "status"       // an HTTP status that Envoy does not know
	refusedMetadata    = "metadata"     // cannot be said in JSON
	refusedUnsupported = "unsupported"  // the protocol cannot do it
)

// headerProblem returns why a header cannot be sent; it is empty if it can.
func headerProblem(h mesh.Header) string {
	if !validName(h.Name) {
		return refusedName
	}
	if !validValue(h.Value) {
		return refusedValue
	}
	return ""
}

// validName says whether s is a token of RFC 9110; a pseudo-header is none.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}
