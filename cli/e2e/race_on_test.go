//go:build race

package e2e

// raceEnabled: the programs are built as the tests are.
const raceEnabled = true
