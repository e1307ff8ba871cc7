package command

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/intact"
	"github.com/pgharbor/pgharbor/internal/subject"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// dryRun shows what the agents would remove with another number of days. It uses the agents' own rules on what the
// catalog has of their inventory.
func dryRun(out *output.Printer, policies []*pgharborv1.InstanceRetention, backups []*pgharborv1.Backup, days int) error {
	if days < 1 {
		return &exit.Problem{Code: exit.Usage, Text: "--dry-run takes a number of days, 1 or more"}
	}
	now := len(removals(backups))
	planned := &pgharborv1.ListBackupsResponse{}
	for _, policy := range policies {
		of := retention.Policy{Days: days, KeepLast: int(policy.GetKeepLast())}
		planned.Backups = append(planned.Backups, removals(replanned(policy.GetInstance(), backups, of, out.Now()))...)
	}
	return out.Print(planned, func() error {
		title := fmt.Sprintf("With %d days the next purge would remove %d backups (as it is: %d):", days, len(planned.GetBackups()), now)
		return showRemovals(out, title, planned.GetBackups(), fmt.Sprintf("With %d days the next purge would remove nothing (as it is: %d).", days, now))
	})
}

// replanned returns an instance's backups as another policy would treat them.
func replanned(instance string, backups []*pgharborv1.Backup, policy retention.Policy, now time.Time) []*pgharborv1.Backup {
	byID := map[string]*pgharborv1.Backup{}
	var known []retention.Backup
	for _, b := range backups {
		if b.GetInstance() != instance {
			continue
		}
		byID[b.GetId()] = b
		known = append(known, retention.Backup{
			ID: b.GetId(), Of: seriesOf(b), DependsOn: b.GetDependsOn(), CreatedAt: b.GetCreatedAt().AsTime(),
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

// seriesOf is what a backup is of, and of which kind.
func seriesOf(b *pgharborv1.Backup) subject.Series {
	of, _ := subject.Read(b.GetSubject(), b.GetDatabase()) // the control plane refuses what contradicts itself
	return subject.Series{Subject: of, Kind: subject.ReadKind(b.GetKind())}
}

// removals returns the backups that the next purge removes.
func removals(backups []*pgharborv1.Backup) []*pgharborv1.Backup {
	var gone []*pgharborv1.Backup
	for _, b := range backups {
		if b.GetRetention().GetStatus() == retention.StatusExpired {
			gone = append(gone, b)
		}
	}
	return gone
}

func showRemovals(out *output.Printer, title string, gone []*pgharborv1.Backup, none string) error {
	if len(gone) > 0 {
		if _, err := fmt.Fprintln(out.Stdout, title); err != nil {
			return err
		}
	}
	table := output.NewTable("ID", "INSTANCE", "DATABASE", ">AGE", ">SIZE", "WHY")
	for _, b := range gone {
		table.Add(output.Name(b.GetId()), output.Name(b.GetInstance()), output.Name(b.GetDatabase()),
			output.Age(b.GetCreatedAt(), out.Now()), output.Bytes(b.GetSizeBytes()), output.Line(b.GetRetention().GetReason()))
	}
	return table.Write(out.Stdout, none)
}
