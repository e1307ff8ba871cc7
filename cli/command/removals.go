package command

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/internal/intact"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// dryRun shows what the agents would remove with another number of days. It is
// their own plan, over what the catalog knows of their inventory.
func (a *app) dryRun(policies []*pgharborv1.InstanceRetention, backups []*pgharborv1.Backup, days int) error {
	if days < 1 {
		return &problem{code: exitUsage, text: "--dry-run takes a number of days, 1 or more"}
	}
	now := len(removals(backups))
	planned := &pgharborv1.ListBackupsResponse{}
	for _, policy := range policies {
		of := retention.Policy{Days: days, KeepLast: int(policy.GetKeepLast())}
		planned.Backups = append(planned.Backups, removals(replanned(policy.GetInstance(), backups, of, a.Now()))...)
	}
	return a.print(planned, func() error {
		title := fmt.Sprintf("With %d days the next purge would remove %d backups (as it is: %d):", days, len(planned.GetBackups()), now)
		return a.showRemovals(title, planned.GetBackups(), fmt.Sprintf("With %d days the next purge would remove nothing (as it is: %d).", days, now))
	})
}

// replanned are an instance's backups with what a policy says of each.
func replanned(instance string, backups []*pgharborv1.Backup, policy retention.Policy, now time.Time) []*pgharborv1.Backup {
	byID := map[string]*pgharborv1.Backup{}
	var known []retention.Backup
	for _, b := range backups {
		if b.GetInstance() != instance {
			continue
		}
		byID[b.GetId()] = b
		known = append(known, retention.Backup{
			ID: b.GetId(), Database: b.GetDatabase(), CreatedAt: b.GetCreatedAt().AsTime(),
			Good: intact.Is(b.GetComplete(), b.GetState(), b.GetProof().GetState()), Held: b.GetHeld(),
		})
	}
	var all []*pgharborv1.Backup
	for _, decision := range retention.Plan(known, policy, now) {
		b := byID[decision.ID]
		b.Retention = &pgharborv1.Retention{Status: decision.Status, Reason: decision.Reason, ExpiresAt: timestamppb.New(decision.ExpiresAt)}
		all = append(all, b)
	}
	return all
}

// removals are the backups that go.
func removals(backups []*pgharborv1.Backup) []*pgharborv1.Backup {
	var gone []*pgharborv1.Backup
	for _, b := range backups {
		if b.GetRetention().GetStatus() == retention.StatusExpired {
			gone = append(gone, b)
		}
	}
	return gone
}

func (a *app) showRemovals(title string, gone []*pgharborv1.Backup, none string) error {
	if len(gone) > 0 {
		if _, err := fmt.Fprintln(a.Stdout, title); err != nil {
			return err
		}
	}
	table := output.NewTable("ID", "INSTANCE", "DATABASE", ">AGE", ">SIZE", "WHY")
	for _, b := range gone {
		table.Add(output.Name(b.GetId()), output.Name(b.GetInstance()), output.Name(b.GetDatabase()),
			output.Age(b.GetCreatedAt(), a.Now()), output.Bytes(b.GetSizeBytes()), output.Line(b.GetRetention().GetReason()))
	}
	return table.Write(a.Stdout, none)
}
