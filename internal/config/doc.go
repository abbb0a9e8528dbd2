// Package config turns files, environment and flags into one checked [Config].
//
// It composes the Config types of the packages, each of which has its defaults
// and its Validate; what is said here is only what concerns several of them.
// In: configuration URIs as the OpenTelemetry Collector takes them (files,
// env:, yaml:), `key.path=value` settings, ${env:…} and ${file:…} inside. Out:
// a Config, or [Problems]: every unknown key, wrong type and wrong value at
// once, each with its key path.
//
// From the same types it makes the JSON Schema, the reference in
// docs/configuration.md, the redacted view for people, and the difference
// between two configurations, sorted into what applies while running and what
// needs a restart.
//
// It must not import collector: what an exporter's section may hold is checked
// by a function that Load is given.
package config
