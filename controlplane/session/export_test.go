package session

import "testing"

// LimitInventory lowers the bound on an inventory for one test, before its
// sessions begin.
func LimitInventory(tb testing.TB, bytes int) {
	before := maxInventory
	maxInventory = bytes
	tb.Cleanup(func() { maxInventory = before })
}
