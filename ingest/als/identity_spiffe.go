package als

import (
	"crypto/x509"
	"strings"
)

// spiffeID is what Istio's form of a SPIFFE ID says,
// spiffe://<trust domain>/ns/<namespace>/sa/<service account>; the fields are
// empty if it has another form.
type spiffeID struct{ namespace, serviceAccount string }

const spiffeScheme = "spiffe://"

func parseSPIFFE(uri string) (id spiffeID) {
	path, ok := strings.CutPrefix(uri, spiffeScheme)
	if !ok {
		return id
	}
	_, path, _ = strings.Cut(path, "/")
	for path != "" {
		var key, value string
		key, path, _ = strings.Cut(path, "/")
		value, path, _ = strings.Cut(path, "/")
		switch key {
		case "ns":
			id.namespace = value
		case "sa":
			id.serviceAccount = value
		}
	}
	return id
}

// samePrincipal compares a principal with a SPIFFE URI; Istio writes principals
// also without the scheme.
func samePrincipal(principal, uri string) bool {
	return strings.TrimPrefix(principal, spiffeScheme) == strings.TrimPrefix(uri, spiffeScheme)
}

// withScheme puts the scheme before a principal that was written without.
func withScheme(principal string) string {
	if uri := spiffeScheme + principal; parseSPIFFE(uri) != (spiffeID{}) && !strings.Contains(principal, "://") {
		return uri
	}
	return principal
}

// certificatePrincipal returns the SPIFFE URI of a verified client certificate,
// empty if it has none.
func certificatePrincipal(cert *x509.Certificate) string {
	for _, uri := range cert.URIs {
		if uri.Scheme == "spiffe" {
			return uri.String()
		}
	}
	return ""
}
