package fleet_test

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Each of an instance's databases may have a test restore with as many differences as one may tell.
func TestDifferencesOfManyTestRestoresAreCut(t *testing.T) {
	var kept fleet.Backup
	for range 100 {
		kept.TestRestore.Differences = append(kept.TestRestore.Differences, strings.Repeat("d", 1000))
	}
	j := fleet.DatabaseStatus{Facts: fleet.Facts{TestRestored: &kept}}
	size := func(j fleet.DatabaseStatus) int { return len(strings.Join(j.TestRestored.TestRestore.Differences, "")) }
	if got := size(j.Bounded(2000)); got == 0 || got > 1000 {
		t.Errorf("of one of 2000 databases %d bytes are told", got)
	}
	if got := size(j.Bounded(1)); got != 100_000 || size(j) != 100_000 {
		t.Errorf("of the only one %d bytes are told, and %d are left", got, size(j))
	}
}
