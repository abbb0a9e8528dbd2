package extauthz

import "github.com/tallygate/tallygate/ingest/wire"

// parts is a message that may come in several parts: what two messages merge to
// is what their bytes, one after the other, say.
type parts struct {
	b     []byte
	some  bool
	owned bool // b is not lent
}

func (p *parts) add(part []byte) {
	switch {
	case !p.some:
		p.b, p.some = part, true
	case p.owned:
		p.b = append(p.b, part...)
	default:
		p.b, p.owned = append(p.b[:len(p.b):len(p.b)], part...), true
	}
}

// mapEntry reads an entry of a map with string keys and messages for values.
// Both may alias b and are empty if missing.
func mapEntry(b []byte) (key, value []byte, ok bool) {
	var p parts
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return nil, nil, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			key = b[v:end]
		case 2<<3 | wire.Bytes:
			p.add(b[v:end])
		}
		i = end
	}
	return key, p.b, true
}
