package red

import (
	"math"

	"github.com/tallygate/tallygate/mesh"
)

// key stands for a label set. It has no padding and no pointers to text: equal
// label sets are equal memory, so that it is hashed and compared as words.
type key struct {
	source, destination mesh.Peer
	service             mesh.Service
	custom              mesh.Custom
	flags               mesh.Flags
	small               uint64 // code, gRPC status, reporter, protocol, security
}

// Places in key.small. In a key of the span metrics the code is the number of
// the method and the security is unset or spanError.
const (
	codeShift     = 32
	statusShift   = 16
	reporterShift = 8
	protocolShift = 4

	codeMask     = uint64(math.MaxUint32) << codeShift
	statusMask   = uint64(math.MaxUint16) << statusShift
	reporterMask = uint64(0xff) << reporterShift
	protocolMask = uint64(0xf) << protocolShift
	securityMask = uint64(0xf)
)

// What the numbers of a key are where a cap has struck.
const (
	codeOverflow     = uint32(math.MaxUint32)
	statusOverflow   = int16(math.MinInt16)
	flagsOverflow    = mesh.Flags(1) << 63
	securityOverflow = mesh.Security(securityMask)
)

// spanError marks a failed request in a key of the span metrics.
const spanError = mesh.Security(1)

func smallOf(code uint32, status int16, r mesh.Reporter, p mesh.Protocol, s mesh.Security) uint64 {
	return uint64(code)<<codeShift | uint64(uint16(status))<<statusShift |
		uint64(r)<<reporterShift | uint64(p)<<protocolShift | uint64(s)
}

func (k *key) code() uint32            { return uint32(k.small >> codeShift) }
func (k *key) status() int16           { return int16(uint16(k.small >> statusShift)) }
func (k *key) reporter() mesh.Reporter { return mesh.Reporter(k.small >> reporterShift) }
func (k *key) protocol() mesh.Protocol { return mesh.Protocol(k.small >> protocolShift & 0xf) }
func (k *key) security() mesh.Security { return mesh.Security(k.small & securityMask) }

func (k *key) setCode(c uint32) { k.small = k.small&^codeMask | uint64(c)<<codeShift }
func (k *key) setStatus(s int16) {
	k.small = k.small&^statusMask | uint64(uint16(s))<<statusShift
}
func (k *key) setSecurity(s mesh.Security) { k.small = k.small&^securityMask | uint64(s) }

// keyer makes the keys of a view: excluded labels are the same in every key.
type keyer struct {
	source, destination mask[mesh.Workload]
	service             mask[mesh.DestinationService]
	custom              mask[string]
	flags               mesh.Flags
	small               uint64
}

func (kr *keyer) init(labels labelSet, custom int) {
	kr.source.init(labels, sourceLabels, mesh.UnknownWorkload(), func(w mesh.Workload) mesh.Workload {
		(sourceLabels &^ labels).each(func(l labelID) { *sourceField(&w, l) = "" })
		return w
	})
	kr.destination.init(labels, destinationLabels, mesh.UnknownWorkload(), func(w mesh.Workload) mesh.Workload {
		(destinationLabels &^ labels).each(func(l labelID) { *destinationField(&w, l) = "" })
		return w
	})
	kr.service.init(labels, serviceLabels, unknownService, func(s mesh.DestinationService) mesh.DestinationService {
		(serviceLabels &^ labels).each(func(l labelID) { *serviceField(&s, l) = "" })
		return s
	})
	customLabels := setOf(labelCustom0, labelCustom0+labelID(custom))
	kr.custom.init(labels, customLabels, joinCustom(splitCustom("", custom)), func(s string) string {
		values := splitCustom(s, custom)
		(customLabels &^ labels).each(func(l labelID) { values[l-labelCustom0] = "" })
		return joinCustom(values)
	})
	if labels.has(labelID(mesh.LabelResponseFlags)) {
		kr.flags = mesh.KnownFlags
	}
	keep := func(l mesh.Label, m uint64) {
		if labels.has(labelID(l)) {
			kr.small |= m
		}
	}
	keep(mesh.LabelResponseCode, codeMask)
	keep(mesh.LabelGRPCResponseStatus, statusMask)
	keep(mesh.LabelReporter, reporterMask)
	keep(mesh.LabelRequestProtocol, protocolMask)
	keep(mesh.LabelConnectionSecurityPolicy, securityMask)
	if labels.has(labelSpanService) {
		kr.source.mode = maskSome
		kr.source.apply = func(w mesh.Workload) mesh.Workload {
			return mesh.Workload{CanonicalService: w.CanonicalService}
		}
	}
}

// of sets k to the key of e.
func (kr *keyer) of(k *key, e *mesh.Entry) {
	k.source = kr.source.of(e.Source)
	k.destination = kr.destination.of(e.Destination)
	k.service = kr.service.of(e.Service)
	k.custom = kr.custom.of(e.Custom)
	k.flags = e.Flags & kr.flags
	k.small = smallOf(e.Code, e.GRPCStatus, e.Reporter, e.Protocol, e.Security) & kr.small
}

// ofSpan sets k to the key of e in the span metrics.
func (kr *keyer) ofSpan(k *key, e *mesh.Entry) {
	peer := e.Destination
	if e.Reporter == mesh.ReporterSource {
		peer = e.Source
	}
	status := mesh.Security(0)
	if e.IsError() {
		status = spanError
	}
	*k = key{
		source: kr.source.of(peer),
		small:  smallOf(methodNumber(e.Method), 0, e.Reporter, 0, status),
	}
}

// forget empties the memos.
func (kr *keyer) forget() {
	kr.source.memo.forget()
	kr.destination.memo.forget()
	kr.service.memo.forget()
	kr.custom.memo.forget()
}
