package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const inviteLife = time.Hour

func agentsCommand(a *app) *cobra.Command {
	return noun("agents", "The agents, each on its instance's host",
		agentsListCommand(a), agentsShowCommand(a), agentsInviteCommand(a), agentsRevokeCommand(a))
}

func agentsListCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the agents and what they say of themselves",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			all, err := allAgents(ctx, conn)
			if err != nil {
				return err
			}
			return a.out.Print(all, func() error { return showAgents(a.out, all.GetAgents()) })
		}),
	})
}

func allAgents(ctx context.Context, conn *grpc.ClientConn) (*pgharborv1.ListAgentsResponse, error) {
	agents := pgharborv1.NewAgentServiceClient(conn)
	all := &pgharborv1.ListAgentsResponse{}
	err := session.EachPage(func(token string) (string, error) {
		page, err := agents.ListAgents(ctx, &pgharborv1.ListAgentsRequest{PageToken: token})
		all.Agents = append(all.Agents, page.GetAgents()...)
		return page.GetNextPageToken(), err
	})
	return all, err
}

func showAgents(out *output.Printer, agents []*pgharborv1.Agent) error {
	now := out.Now()
	table := output.NewTable("NAME", "STATE", ">LAST SEEN", "VERSION", "POSTGRES", "PG_DUMP", "SCHEDULE", "NEXT RUN", ">DATABASES", "SEALED")
	for _, agent := range agents {
		status := agent.GetStatus()
		var seen string
		if agent.GetLastSeenAt() != nil {
			seen = output.Age(agent.GetLastSeenAt(), now) + " ago"
		}
		table.Add(output.Name(agent.GetName()), output.Name(agent.GetState()), seen, output.Name(agent.GetVersion()),
			output.Name(status.GetServerVersion()), output.Name(status.GetPgDumpVersion()),
			schedule(status), output.Time(status.GetNextRunAt(), now.Location()), coverage(status), sealed(status))
	}
	if err := table.Write(out.Stdout, "No agents. The first one: pgharbor agents invite NAME"); err != nil {
		return err
	}
	for _, agent := range agents {
		for _, warning := range agent.GetStatus().GetWarnings() {
			if _, err := fmt.Fprintf(out.Stdout, "warning: %s: %s\n", output.Name(agent.GetName()), output.Line(warning)); err != nil {
				return err
			}
		}
	}
	return nil
}

// told returns whether the agent has ever reported anything about itself.
func told(status *pgharborv1.AgentStatus) bool {
	return status.GetServerVersion() != "" || status.GetSchedule() != ""
}

func schedule(status *pgharborv1.AgentStatus) string {
	switch {
	case !told(status):
		return ""
	case !status.GetBackupsEnabled():
		return "off"
	default:
		return output.Name(status.GetSchedule() + " " + status.GetTimezone())
	}
}

func coverage(status *pgharborv1.AgentStatus) string {
	if !told(status) {
		return ""
	}
	covered := 0
	for _, database := range status.GetDatabases() {
		if database.GetCovered() {
			covered++
		}
	}
	return fmt.Sprintf("%d of %d", covered, len(status.GetDatabases()))
}

func sealed(status *pgharborv1.AgentStatus) string {
	if !told(status) {
		return ""
	}
	return yesNo(status.GetEncrypting())
}

func agentsInviteCommand(a *app) *cobra.Command {
	ttl := inviteLife
	cmd := a.printing(&cobra.Command{
		Use:   "invite NAME",
		Short: "Invite an agent, which then carries the name of its instance",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewAgentServiceClient(conn).CreateAgentInvite(ctx,
				&pgharborv1.CreateAgentInviteRequest{Name: args[0], Ttl: durationpb.New(ttl)})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				a.out.Say("For %s, once, until %s. On its host: pgharbor-agent enroll INVITE",
					output.Name(args[0]), output.Time(response.GetExpiresAt(), a.out.Now().Location()))
				_, err := fmt.Fprintln(a.out.Stdout, output.Name(response.GetInvite()))
				return err
			})
		}),
	})
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long the invite holds")
	return cmd
}

func agentsRevokeCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:               "revoke NAME",
		Short:             "End an agent's identity and its session; its backups stay listed",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeInstance,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewAgentServiceClient(conn).RevokeAgent(ctx, &pgharborv1.RevokeAgentRequest{Name: args[0]})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				_, err := fmt.Fprintf(a.out.Stdout, "Revoked the agent %s.\n", output.Name(response.GetAgent().GetName()))
				return err
			})
		}),
	})
}
