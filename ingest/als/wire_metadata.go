package als

import "github.com/tallygate/tallygate/ingest/wire"

// metadata reads an envoy.config.core.v3.Metadata: of filter_metadata, a map from
// the names of filters to Structs, what the labels want.
func (r *record) metadata(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wire.Bytes && !r.filterMetadata(b[v:end]) {
			return false
		}
		i = end
	}
	return true
}

// filterMetadata reads an entry of that map. As in every map the last entry of a
// key is the value; that of one entry is all its values, merged.
func (r *record) filterMetadata(entry []byte) bool {
	filter, _, ok := mapEntry(entry)
	if !ok {
		return false
	}
	wanted := false
	for i := range r.meta {
		if m := &r.meta[i]; m.filter == wire.Lend(filter) {
			r.custom[m.label], wanted = "", true
		}
	}
	for i := 0; wanted && i < len(entry); {
		tag, v, end := wire.Next(entry, i) // mapEntry has seen all of it
		if tag == 2<<3|wire.Bytes && !r.filterFields(wire.Lend(filter), entry[v:end]) {
			return false
		}
		i = end
	}
	return true
}

// filterFields reads the Struct of a filter.
func (r *record) filterFields(filter string, b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wire.Bytes {
			field := b[v:end]
			key, _, ok := mapEntry(field)
			if !ok {
				return false
			}
			for i := range r.meta {
				if m := &r.meta[i]; m.key == wire.Lend(key) && m.filter == filter {
					r.custom[m.label] = mergedString(field)
				}
			}
		}
		i = end
	}
	return true
}

// mergedString is the text of the Value of a map's entry, empty if it is of
// another kind.
func mergedString(entry []byte) string {
	var s []byte
	for i := 0; i < len(entry); {
		tag, v, end := wire.Next(entry, i)
		if tag == 2<<3|wire.Bytes {
			s = valueOf(s, entry[v:end], 3)
		}
		i = end
	}
	return wire.Lend(s)
}
