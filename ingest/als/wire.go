package als

import "github.com/tallygate/tallygate/ingest/wire"

// The decoder reads envoy.service.accesslog.v3.StreamAccessLogsMessage straight
// from the frame. It gives the result that the generated code gives for every
// message that the generated code accepts; it also accepts invalid UTF-8 and
// damage inside submessages of which nothing is needed.

// plainEntry reads a map entry as every encoder writes it: a key and a value of
// less than 128 bytes, nothing else. x holds its length, the key's tag and the
// key's length in the low three bytes, the content begins at j of b. The key is
// b[j+2:key], the value b[key+2:end].
//
// As with short, b is a message up to its capacity, and the caller checks that
// the entry ends within its length.
func plainEntry(b []byte, x uint64, j int) (key, end int, ok bool) {
	key = j + 2 + int(x>>16&0x7f)
	end = j + int(x&0x7f)
	if x&0x80ff80 != (1<<3|wire.Bytes)<<8 || key+2 > end || end > len(b) {
		return 0, 0, false
	}
	return key, end, b[key] == 2<<3|wire.Bytes && int(b[key+1]) == end-key-2
}

// mapEntry reads an entry of a map with string keys and length-delimited values.
// Both alias b and are empty if missing.
func mapEntry(b []byte) (key, value []byte, ok bool) {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return nil, nil, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			key = b[v:end]
		case 2<<3 | wire.Bytes:
			value = b[v:end]
		}
		i = end
	}
	return key, value, true
}
