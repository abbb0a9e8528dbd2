// Command tallygate-collector is an OpenTelemetry Collector with Tallygate's
// components.
package main
