package command

import (
	"bufio"
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/auditlog"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func auditExportCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the whole audit log to standard output, the oldest entry first, a line of JSON each",
		Long: `Writes the whole audit log to standard output, the oldest entry first, a line of JSON
each, with the hashes: pgharbor audit verify --file checks what was written.`,
		Args: cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			out := bufio.NewWriter(a.out.Stdout)
			err := auditlog.ControlPlane(ctx, conn)(func(e *pgharborv1.AuditEntry) error { return auditlog.WriteEntry(out, e) })
			return errors.Join(err, out.Flush())
		}),
	}
}
