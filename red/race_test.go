//go:build race

package red

const raceEnabled = true
