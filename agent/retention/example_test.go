package retention_test

import (
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// Of the dumps of each database the newest good backups stay, whatever their age.
func ExamplePlan() {
	now := time.Date(2026, time.November, 30, 12, 0, 0, 0, time.UTC)
	aged := func(id string, days int) retention.Backup {
		return retention.Backup{ID: id, Of: subject.LogicalOf("shop"), CreatedAt: now.AddDate(0, 0, -days), Good: true}
	}
	held := aged("d", 90)
	held.Held = true
	backups := []retention.Backup{aged("a", 1), aged("b", 40), aged("c", 41), held}
	for _, d := range retention.Plan(backups, retention.Policy{Days: 30, KeepLast: 2}, now) {
		fmt.Printf("%s %-9s %s\n", d.ID, d.Status, d.Reason)
	}
	// Output:
	// a kept      it is 1 days old, and 30 days are kept
	// b kept-last it is 40 days old, but one of the newest 2 good backups of its database
	// c expired   it is 41 days old, 30 days are kept, and newer good backups stay
	// d kept      it is held
}
