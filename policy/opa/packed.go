package opa

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// packed is a large object of the data, kept as the text that it was read from.
// OPA's values take eight times the memory of their text, a second per 50 MB to
// build, and as long for every collection of garbage; a policy that looks one
// member up needs that member alone.
type packed struct {
	path storage.Path
	file string

	text    []byte
	members []span
	table   []uint32 // by hash of the name: 1 + the index in members; 0 is free

	whole func() ast.Object // everything, made when first asked for
}

// span is where a member of an object is in its text.
type span struct{ name, colon, value, end uint32 }

var packedSeed = maphash.MakeSeed()

// newPacked makes an object of members, of which a later one counts instead of an
// earlier one of the same name.
func newPacked(path storage.Path, file string, text []byte, members []span, pc *pacer) *packed {
	size := 1
	for size < 2*len(members) {
		size *= 2
	}
	p := &packed{path: path, file: file, text: text, members: members, table: make([]uint32, size)}
	for i := range members {
		pc.step()
		slot, _ := p.slot(p.name(i))
		p.table[slot] = uint32(i + 1)
	}
	p.whole = sync.OnceValue(func() ast.Object { return p.unpack(nil) })
	return p
}

// name returns the name of a member, valid UTF-8 as everywhere in OPA.
func (p *packed) name(i int) []byte {
	quoted := p.text[p.members[i].name:p.members[i].colon]
	if plain := quoted[1 : len(quoted)-1]; isASCII(plain) {
		return plain
	}
	name, _ := jsontext.AppendUnquote(nil, quoted) // the error says that invalid UTF-8 was replaced
	return name
}

// isASCII reports whether a text has no escapes and no other than ASCII characters.
func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c == '\\' || c >= 0x80 })
}

// slot returns where name is in the table, or would be, and the member there.
func (p *packed) slot(name []byte) (slot int, member int) {
	mask := len(p.table) - 1
	for slot = int(maphash.Bytes(packedSeed, name)) & mask; ; slot = (slot + 1) & mask {
		at := p.table[slot]
		if at == 0 {
			return slot, -1
		}
		if bytes.Equal(p.name(int(at-1)), name) {
			return slot, int(at - 1)
		}
	}
}

// get returns the member of that name, nil if there is none.
func (p *packed) get(name string) ast.Value {
	_, i := p.slot([]byte(name))
	if i < 0 {
		return nil
	}
	v, err := readJSON(p.text[p.members[i].value:p.members[i].end], nil)
	if err != nil {
		panic(fmt.Sprintf("%s: text that was valid when it was read: %v", p.file, err))
	}
	return v
}

// unpack makes a value of the whole.
func (p *packed) unpack(pc *pacer) ast.Object {
	v, err := readJSON(p.text, pc)
	if err != nil {
		panic(fmt.Sprintf("%s: text that was valid when it was read: %v", p.file, err))
	}
	return v.(ast.Object) // as outline found
}

// into returns data with whole in the place of the empty object that stands for
// it.
func (p *packed) into(data, whole ast.Object) ast.Object {
	data, err := merge(data, under(p.path, whole).(ast.Object), p.file, "data")
	if err != nil {
		panic(err) // there is an empty object
	}
	return data
}

// unpacked is a large object of the data that some rule does more with than look
// members up.
type unpacked struct {
	path  string
	bytes int
	by    string // file:line of that rule
}

func unpackedAt(p *packed, at *ast.Location) unpacked {
	return unpacked{path: "data." + strings.Join(p.path, "."), bytes: len(p.text), by: location(at)}
}
