// Package storagetest is the battery that every store of spans passes: ids,
// services, operations, tags, bounds of duration and time, limits, odd bytes,
// many spans, identical timestamps, spans that come again, edges.
//
// A backend says how it is written and read, and lists what it cannot do.
package storagetest
