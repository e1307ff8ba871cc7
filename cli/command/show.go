package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func showCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:               "show ID",
		Short:             "Show one backup, with the rows of each table",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBackup,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := getBackup(ctx, conn, args[0])
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error { return showBackup(a.out, response.GetBackup()) })
		}),
	})
}

// newerOf says why a backup can't be restored by this pgharbor, whatever its state; "" for those that can.
func newerOf(backup *pgharborv1.Backup) string {
	if err := seriesOf(backup).Check(); err != nil {
		return output.Line(err.Error())
	}
	return ""
}

func getBackup(ctx context.Context, conn *grpc.ClientConn, id string) (*pgharborv1.GetBackupResponse, error) {
	return pgharborv1.NewBackupServiceClient(conn).GetBackup(ctx, &pgharborv1.GetBackupRequest{Id: id})
}

func showBackup(out *output.Printer, backup *pgharborv1.Backup) error {
	zone := out.Now().Location()
	pairs := [][2]string{
		{"Id", output.Name(backup.GetId())},
		{"Instance", output.Name(backup.GetInstance())},
		{"Database", output.Name(backup.GetDatabase())},
		{"Newer", newerOf(backup)},
		{"File", output.Name(backup.GetFilename())},
		{"State", output.Name(backup.GetState())},
		{"Created", output.Time(backup.GetCreatedAt(), zone) + ", " + output.Age(backup.GetCreatedAt(), out.Now()) + " ago"},
		{"Trigger", output.Name(backup.GetTrigger())},
		{"Retention", retentionOf(backup, out.Now())},
		{"Why", output.Line(backup.GetRetention().GetReason())},
		{"Held by", output.Name(backup.GetHeldBy())},
		{"Why held", output.Line(backup.GetHoldReason())},
		{"Damage", output.Line(backup.GetDamage())},
		{"Scrubbed", output.Time(backup.GetScrubbedAt(), zone)},
		{"Removed", output.Time(backup.GetRemovedAt(), zone)},
		{"Why removed", output.Line(backup.GetRemovedReason())},
		{"Size", sizeOf(backup.GetSizeBytes())},
		{"SHA-256", output.Name(backup.GetSha256())},
		{"Dump size", sizeOf(backup.GetPlainSizeBytes())},
		{"Dump SHA-256", output.Name(backup.GetPlainSha256())},
		{"Format", output.Name(backup.GetFormat())},
		{"Compression", output.Name(backup.GetCompression())},
		{"Encryption", output.Name(backup.GetEncryption())},
		{"Server", output.Name(backup.GetServerVersion())},
		{"pg_dump", output.Name(backup.GetPgDumpVersion())},
		{"Encoding", output.Name(backup.GetEncoding())},
		{"Collation", output.Name(backup.GetCollation())},
		{"Run", output.Name(backup.GetRunId())},
		{"Roles", rolesOf(backup.GetGlobals())},
		{"Unproven", unprovenOf(backup)},
	}
	pairs = append(pairs, testRestorePairs(backup.GetProof(), out.Now())...)
	if !backup.GetComplete() && backup.GetState() != words.BackupDamaged {
		pairs = append(pairs, [2]string{"Incomplete", "no end marker was found in it: it counts for nothing"})
	}
	for _, warning := range backup.GetWarnings() {
		pairs = append(pairs, [2]string{"Warning", output.Line(warning)})
	}
	switch {
	case backup.GetProof().GetState() == words.Failed:
		pairs = append(pairs, [2]string{"In full", inFull(backup.GetInstance(), backup.GetId(), backup.GetProof().GetDifferences()...)})
	default:
		pairs = append(pairs, [2]string{"In full", inFull(backup.GetInstance(), backup.GetRunId(), backup.GetWarnings()...)})
	}
	if err := output.Fields(out.Stdout, pairs...); err != nil {
		return err
	}
	if len(backup.GetTables()) == 0 {
		return nil
	}
	table := output.NewTable("SCHEMA", "TABLE", ">ROWS")
	for _, t := range backup.GetTables() {
		table.Add(output.Name(t.GetSchema()), output.Name(t.GetName()), output.Count(t.GetRows()))
	}
	fmt.Fprintln(out.Stdout)
	return table.Write(out.Stdout, "")
}

// unprovenOf returns a warning about a backup whose content comes from a file of unknown origin; "" for others.
func unprovenOf(backup *pgharborv1.Backup) string {
	if backup.GetUnprovenOrigin() == "" {
		return ""
	}
	return fmt.Sprintf("its database was restored from a file that nothing proves to be of an agent of yours (%s); it is restored sandboxed",
		output.Name(backup.GetUnprovenOrigin()))
}

// rolesOf describes the globals file of a backup.
func rolesOf(globals *pgharborv1.Globals) string {
	if globals == nil {
		return ""
	}
	passwords := "without passwords"
	if globals.GetPasswords() {
		passwords = "with passwords"
	}
	return fmt.Sprintf("%s, %s, in %s", output.Count(int64(len(globals.GetRoles()))), passwords, output.Name(globals.GetFilename()))
}

func sizeOf(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s bytes)", output.Bytes(n), output.Count(n))
}
