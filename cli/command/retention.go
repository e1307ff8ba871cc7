package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func retentionCommand(a *app) *cobra.Command {
	var request pgharborv1.ListRetentionsRequest
	var days int
	cmd := a.printing(&cobra.Command{
		Use:   "retention",
		Short: "Show how long backups are kept, and what the next purge removes and why",
		Long: `Show how long backups are kept, and what the next purge removes and why.

With --dry-run N, show instead what would be removed if the agents kept backups for N
days. Nothing is changed: the number is each agent's own BACKUP_RETENTION_DAYS.`,
		Args: cobra.NoArgs,
	})
	cmd.RunE = a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		response, err := pgharborv1.NewRetentionServiceClient(conn).ListRetentions(ctx, &request)
		if err != nil {
			return err
		}
		backups, err := allBackups(ctx, conn, &pgharborv1.ListBackupsRequest{Instance: request.GetInstance()})
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("dry-run") {
			return dryRun(a.out, response.GetRetentions(), backups, days)
		}
		return a.out.Print(response, func() error {
			if err := showRetentions(a.out, response.GetRetentions()); err != nil {
				return err
			}
			if err := showHeld(a.out, backups); err != nil {
				return err
			}
			return showRemovals(a.out, "\nThe next purge removes:", removals(backups), "\nThe next purge removes nothing.")
		})
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	flags.IntVar(&days, "dry-run", 0, "show what would be removed if backups were kept for this many days")
	a.completeInstanceFlag(cmd)
	return cmd
}

func showRetentions(out *output.Printer, retentions []*pgharborv1.InstanceRetention) error {
	now := out.Now()
	table := output.NewTable("INSTANCE", "DATABASE", ">BACKUPS", ">SIZE", ">OLDEST", ">NEWEST", ">GO NEXT", ">STAY FOR THE FLOOR")
	for _, retention := range retentions {
		if _, err := fmt.Fprintln(out.Stdout, policyLine(retention, out.Now())); err != nil {
			return err
		}
		for _, database := range retention.GetDatabases() {
			table.Add(output.Name(retention.GetInstance()), output.Name(database.GetDatabase()),
				strconv.Itoa(int(database.GetBackups())), output.Bytes(database.GetSizeBytes()),
				output.Age(database.GetOldestAt(), now), output.Age(database.GetNewestAt(), now),
				strconv.Itoa(int(database.GetExpired())), strconv.Itoa(int(database.GetKeptLast())))
		}
	}
	if len(retentions) > 0 {
		fmt.Fprintln(out.Stdout)
	}
	return table.Write(out.Stdout, "No backups.")
}

// showHeld lists the backups that are on hold, if there are any.
func showHeld(out *output.Printer, backups []*pgharborv1.Backup) error {
	table, held := output.NewTable("HELD", "INSTANCE", "DATABASE", "CREATED", "BY", "WHY"), 0
	for _, backup := range backups {
		if backup.GetHeld() {
			held++
			table.Add(output.Name(backup.GetId()), output.Name(backup.GetInstance()), output.Name(backup.GetDatabase()),
				output.Time(backup.GetCreatedAt(), out.Now().Location()), output.Name(backup.GetHeldBy()), output.Line(backup.GetHoldReason()))
		}
	}
	if held == 0 {
		return nil
	}
	fmt.Fprintln(out.Stdout)
	return table.Write(out.Stdout, "")
}

// policyLine sums up the retention policy of one instance.
func policyLine(retention *pgharborv1.InstanceRetention, now time.Time) string {
	instance := output.Name(retention.GetInstance())
	if retention.GetRetentionDays() == 0 && retention.GetNextPurgeAt() == nil {
		return instance + ": its agent has not told its policy yet"
	}
	next := "the next purge is not known"
	if at := retention.GetNextPurgeAt(); at != nil {
		next = "the next purge is " + output.Time(at, now.Location())
		if !at.AsTime().After(now) { // since the agent began, or for as long as its clock is suspect
			next = "the next purge is due"
		}
	}
	return fmt.Sprintf("%s: kept for %d days, and of each database always the newest %d good ones; %s",
		instance, retention.GetRetentionDays(), retention.GetKeepLast(), next)
}
