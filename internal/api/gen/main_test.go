package main

import (
	"bytes"
	"os"
	"testing"
)

func TestCommitted(t *testing.T) {
	want, err := document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("internal/api/openapi.json is not up to date: run go generate ./internal/api")
	}
}
