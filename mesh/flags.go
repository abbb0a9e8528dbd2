package mesh

import "math/bits"

// Flags is the set of response flags of an entry. Bit n-1 is field n of
// envoy.data.accesslog.v3.ResponseFlags, which is the order in which Envoy
// writes them.
type Flags uint64

// flagCodes holds Envoy's short codes by bit.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
var flagCodes = [...]string{
	"LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI",
	"FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE", "UMSDR",
	"RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR",
}

// KnownFlags has the bit of every flag that has a code.
const KnownFlags = Flags(1)<<len(flagCodes) - 1

// String returns the short codes, comma separated in Envoy's order, "-" if
// there are none.
func (f Flags) String() string {
	f &= KnownFlags
	if f == 0 {
		return "-"
	}
	b := make([]byte, 0, 16)
	for ; f != 0; f &= f - 1 {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, flagCodes[bits.TrailingZeros64(uint64(f))]...)
	}
	return string(b)
}
