package command

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What another number of days would remove is what the agents' own plan says: by age, never below the floor, and never
// what is held.
func TestDryRunOfAnotherNumberOfDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	backup := func(id string, days int, change func(*pgharborv1.Backup)) *pgharborv1.Backup {
		b := &pgharborv1.Backup{
			Id: id, Instance: "db1", Database: "shop", State: "present", Complete: true, SizeBytes: 1 << 20,
			CreatedAt: timestamppb.New(now.AddDate(0, 0, -days)), Retention: &pgharborv1.Retention{Status: "kept"},
		}
		if change != nil {
			change(b)
		}
		return b
	}
	backups := []*pgharborv1.Backup{
		backup("today", 0, nil), backup("week", 7, nil), backup("fortnight", 14, nil),
		backup("held", 20, func(b *pgharborv1.Backup) { b.Held = true }),
		backup("month", 31, func(b *pgharborv1.Backup) { b.Retention.Status = "expired" }),
		backup("elsewhere", 20, func(b *pgharborv1.Backup) { b.Instance, b.Database = "db2", "till" }),
	}
	// Of a third database the second newest has failed its test restore, and the one before it
	// stays in its place.
	of := func(b *pgharborv1.Backup) { b.Instance, b.Database = "db3", "crm" }
	backups = append(backups, backup("newest", 1, of), backup("disproved", 12, func(b *pgharborv1.Backup) {
		of(b)
		b.Proof = &pgharborv1.Proof{State: "failed"}
	}), backup("instead", 13, of))
	// A fourth has a chain, which stays as a whole, and one of a kind that only a newer agent removes.
	chain := func(kind string, dependsOn ...string) func(*pgharborv1.Backup) {
		return func(b *pgharborv1.Backup) {
			b.Instance, b.Database, b.Kind, b.DependsOn = "db4", "wiki", kind, dependsOn
		}
	}
	backups = append(backups, backup("link", 1, chain("logical", "base")), backup("base", 90, chain("logical")), backup("foreign", 99, chain("unheard")))
	var out strings.Builder
	printer := &output.Printer{Stdout: &out, Now: func() time.Time { return now }, Format: output.FormatTable}
	policies := []*pgharborv1.InstanceRetention{{Instance: "db1", KeepLast: 2}, {Instance: "db2", KeepLast: 2}, {Instance: "db3", KeepLast: 2}, {Instance: "db4", KeepLast: 1}}
	if err := dryRun(printer, policies, backups, 10); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, gone := range []string{"would remove 3 backups (as it is: 1)", "disproved", "fortnight", "month", "14 days old"} {
		if !strings.Contains(got, gone) {
			t.Errorf("%q is missing in\n%s", gone, got)
		}
	}
	for _, stays := range []string{"today", "week ", "held", "elsewhere", "newest", "instead", "link", "base", "foreign"} {
		if strings.Contains(got, stays) {
			t.Errorf("%s would go:\n%s", stays, got)
		}
	}
}
