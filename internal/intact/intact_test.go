package intact_test

import (
	"testing"

	"github.com/pgharbor/pgharbor/internal/intact"
)

func TestOnlyAWholeBackupThatNothingSpeaksAgainstCounts(t *testing.T) {
	for _, tt := range []struct {
		complete           bool
		state, testRestore string
		want               bool
	}{
		{true, "present", "", true},
		{true, "present", "succeeded", true},
		{true, "present", "error", true}, // the host lacked something for the test; of the backup that says nothing
		{true, "present", "failed", false},
		{true, "damaged", "", false},
		{true, "missing", "succeeded", false},
		{true, "removed", "succeeded", false},
		{false, "present", "succeeded", false},
	} {
		if got := intact.Is(tt.complete, tt.state, tt.testRestore); got != tt.want {
			t.Errorf("complete %t, state %q, proof %q: %t", tt.complete, tt.state, tt.testRestore, got)
		}
	}
}
