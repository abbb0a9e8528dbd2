// Package storage is what stores of spans have in common: how they are read
// ([Reader]), and the edges between services that they learn from the spans
// that pass by ([Edges]).
//
// A store's input is pdata, through a Collector exporter of its own; its
// mapping to what is stored is package jaegermodel's. A reader returns spans as
// they were stored: nothing is repaired or adjusted for display before
// storage/query does it.
//
// storage/local and storage/cassandra are the stores, storage/query the HTTP
// API over either, storage/storagetest the battery that all of them pass. The
// stores do not know each other.
package storage
