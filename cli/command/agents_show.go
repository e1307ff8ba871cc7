package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func agentsShowCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:               "show NAME",
		Short:             "Show one agent, and what its host lets the control plane ask for",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeInstance,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewAgentServiceClient(conn).GetAgent(ctx, &pgharborv1.GetAgentRequest{Name: args[0]})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error { return showAgent(a.out, response.GetAgent()) })
		}),
	})
}

func showAgent(out *output.Printer, agent *pgharborv1.Agent) error {
	zone, status := out.Now().Location(), agent.GetStatus()
	pairs := [][2]string{
		{"Name", output.Name(agent.GetName())},
		{"State", output.Name(agent.GetState())},
		{"Last seen", output.Time(agent.GetLastSeenAt(), zone)},
		{"Version", output.Name(agent.GetVersion())},
		{"Postgres", output.Name(status.GetServerVersion())},
		{"pg_dump", output.Name(status.GetPgDumpVersion())},
		{"Schedule", schedule(status)},
		{"Databases", coverage(status)},
		{"Sealed", sealed(status)},
	}
	pairs = append(pairs, policyPairs(status.GetPolicy())...)
	for _, warning := range status.GetWarnings() {
		pairs = append(pairs, [2]string{"Warning", output.Line(warning)})
	}
	return output.Fields(out.Stdout, pairs...)
}

// policyPairs shows what the host lets the control plane ask for.
func policyPairs(policy *pgharborv1.HostPolicy) [][2]string {
	switch {
	case policy == nil:
		return [][2]string{{"Allowed", "the agent does not say; one that is older does whatever it is asked for"}}
	case policy.GetTrouble() != "":
		return [][2]string{{"Allowed", "nothing: " + output.Line(policy.GetTrouble())}}
	}
	return [][2]string{
		{"Allowed jobs", names(policy.GetJobs())},
		{"Restores from", names(policy.GetRestoreFrom())},
		{"Replace a database", yesNo(policy.GetReplace())},
		{"Unproven files", yesNo(policy.GetUnproven())},
		{"Superuser roles", yesNo(policy.GetSuperuserRoles())},
		{"Trust in dumps", yesNo(policy.GetTrustContent())},
		{"Release its own holds", yesNo(policy.GetReleaseHostHolds())},
	}
}

func names(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	shown := make([]string, len(all))
	for n, name := range all {
		shown[n] = output.Name(name)
	}
	return strings.Join(shown, ", ")
}
