package extauthz

import (
	"errors"
	"fmt"

	"github.com/tallygate/tallygate/mesh"
)

// NewRequest returns a lens on the serialised CheckRequest b, which must not
// change, for tools that judge without a proxy. Bodies are parsed as by default.
func NewRequest(b []byte) (mesh.Request, error) {
	l := &lens{bodies: &bodyParser{max: DefaultConfig().MaxBodyKiB << 10}}
	if !l.reset(b) {
		return nil, errors.New("malformed CheckRequest")
	}
	if p := l.parse(); p != "" {
		return nil, fmt.Errorf("the %s of the request cannot be read; it would be denied", p)
	}
	return l, nil
}
