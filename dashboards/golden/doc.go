// Package golden says once, for boards and rules alike, what a request, a
// failure, a denial and slowness are in terms of Istio's metrics, what an edge of
// the mesh is, and under which names rules record their rates.
package golden
