package api

import (
	_ "embed"
	"net/http"
)

// OpenAPI describes every route of the admin endpoint.
//
//go:embed openapi.json
var OpenAPI []byte

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(OpenAPI)
}
