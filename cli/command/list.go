package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func listCommand(a *app) *cobra.Command {
	var request pgharborv1.ListBackupsRequest
	from := since{now: a.out.Now}
	cmd := a.printing(&cobra.Command{
		Use:   "list",
		Short: "List backups, the newest first",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			request.Since = from.at
			return listBackups(ctx, a.out, conn, &request)
		}),
	})
	flags := cmd.Flags()
	flags.StringVar(&request.Instance, "instance", "", "only of this instance, or of those that a glob such as 'shop-*' matches")
	flags.StringVar(&request.Database, "database", "", "only of this database")
	flags.Var(&from, "since", "only made since then, for example 7d, 36h or 2026-01-31")
	flags.BoolVar(&request.IncludeRemoved, "removed", false, "also those that retention has removed")
	a.completeInstanceFlag(cmd)
	return cmd
}

func listBackups(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.ListBackupsRequest) error {
	backups, err := allBackups(ctx, conn, request)
	if err != nil {
		return err
	}
	return out.Print(&pgharborv1.ListBackupsResponse{Backups: backups}, func() error {
		if err := backupTable(backups, out.Now()).Write(out.Stdout, "No backups."); err != nil {
			return err
		}
		for _, backup := range backups {
			if untested := unprovenOf(backup); untested != "" {
				if _, err := fmt.Fprintf(out.Stdout, "warning: %s: %s\n", output.Name(backup.GetId()), untested); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// allBackups reads every page of a list.
func allBackups(ctx context.Context, conn *grpc.ClientConn, request *pgharborv1.ListBackupsRequest) (all []*pgharborv1.Backup, err error) {
	backups := pgharborv1.NewBackupServiceClient(conn)
	err = session.EachPage(func(token string) (string, error) {
		request.PageToken = token
		page, err := backups.ListBackups(ctx, request)
		all = append(all, page.GetBackups()...)
		return page.GetNextPageToken(), err
	})
	return all, err
}

func backupTable(backups []*pgharborv1.Backup, now time.Time) *output.Table {
	table := output.NewTable("ID", "INSTANCE", "DATABASE", "FILENAME", ">SIZE", "CREATED", ">AGE", "ENCRYPTED", "PROVEN", "RETENTION")
	for _, backup := range backups {
		table.Add(
			output.Name(backup.GetId()),
			output.Name(backup.GetInstance()),
			output.Name(backup.GetDatabase()),
			output.Name(backup.GetFilename()),
			output.Bytes(backup.GetSizeBytes()),
			output.Time(backup.GetCreatedAt(), now.Location()),
			output.Age(backup.GetCreatedAt(), now),
			yesNo(backup.GetEncrypted()),
			testRestoreOf(backup, now),
			retentionOf(backup, now),
		)
	}
	return table
}

// retentionOf is the retention column: what will happen to a backup, or what has happened to it.
func retentionOf(backup *pgharborv1.Backup, now time.Time) string {
	if state := backup.GetState(); state != "" && state != words.BackupPresent {
		return output.Name(state)
	}
	if !backup.GetComplete() {
		return "incomplete"
	}
	if backup.GetHeld() {
		return "held"
	}
	retention := backup.GetRetention()
	expires := retention.GetExpiresAt()
	if retention.GetStatus() == words.RetentionKept && expires != nil && expires.AsTime().After(now) {
		return "kept until " + expires.AsTime().In(now.Location()).Format("2006-01-02")
	}
	return output.Name(retention.GetStatus())
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
