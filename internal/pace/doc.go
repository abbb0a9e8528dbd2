// Package pace holds work that can wait to a share of the time, so that work that
// cannot finds a core free.
package pace
