package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func policiesCommand(a *app) *cobra.Command {
	return noun("policies", "What is asked of people before they touch an instance's backups",
		policiesListCommand(a), policiesSetCommand(a), policiesRemoveCommand(a))
}

func policiesListCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the policies; an instance heeds each whose glob matches its name",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			policies := pgharborv1.NewPolicyServiceClient(conn)
			all := &pgharborv1.ListPoliciesResponse{}
			err := session.EachPage(func(token string) (string, error) {
				page, err := policies.ListPolicies(ctx, &pgharborv1.ListPoliciesRequest{PageToken: token})
				all.Policies = append(all.Policies, page.GetPolicies()...)
				return page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			return a.out.Print(all, func() error { return policyTable(all.GetPolicies(), a.out.Now()).Write(a.out.Stdout, "No policies.") })
		}),
	})
}

func policyTable(policies []*pgharborv1.Policy, now time.Time) *output.Table {
	table := output.NewTable("GLOB", "APPROVAL FOR", "WITHIN", "REASON FOR", "SET BY", "SET AT")
	for _, policy := range policies {
		var within string
		if policy.GetApprovalTtl() != nil {
			within = policy.GetApprovalTtl().AsDuration().String()
		}
		table.Add(output.Name(policy.GetGlob()), output.Line(strings.Join(policy.GetRequireApproval(), ", ")), within,
			output.Line(strings.Join(policy.GetRequireReason(), ", ")), output.Name(policy.GetUpdatedBy()),
			output.Time(policy.GetUpdatedAt(), now.Location()))
	}
	return table
}

func policiesSetCommand(a *app) *cobra.Command {
	var request pgharborv1.SetPolicyRequest
	var ttl time.Duration
	cmd := a.printing(&cobra.Command{
		Use:   "set GLOB [--require-approval ACTION,...] [--require-reason ACTION,...]",
		Short: "Set the policy for the instances whose name a glob matches",
		Long: `Set replaces the policy with this glob, in which * stands for any number of characters
and ? for one. The actions are: replace (a restore over an existing database), download,
retention, release (of a hold) and thresholds (how health is evaluated). Where several policies
match an instance, each is heeded.

Where a policy asks for approvals, to ask for less, or to remove it, waits for another
person's approval itself.`,
		Example: `  pgharbor policies set 'prod-*' --require-approval replace,download --require-reason download --approval-ttl 1h`,
		Args:    cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Glob = args[0]
			if ttl != 0 {
				request.ApprovalTtl = durationpb.New(ttl)
			}
			return setPolicy(ctx, a.out, conn, &request)
		}),
	})
	flags := cmd.Flags()
	flags.StringSliceVar(&request.RequireApproval, "require-approval", nil, "what waits for another person: replace, download, retention, release, thresholds")
	flags.StringSliceVar(&request.RequireReason, "require-reason", nil, "what needs --reason, such as download")
	flags.DurationVar(&ttl, "approval-ttl", 0, "how long an approval may wait for its decision, and then for its use (default 1h)")
	a.approvable(cmd)
	return cmd
}

func setPolicy(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, request *pgharborv1.SetPolicyRequest) error {
	response, err := pgharborv1.NewPolicyServiceClient(conn).SetPolicy(ctx, request)
	if err != nil {
		return err
	}
	return out.Print(response, func() error {
		return policyTable([]*pgharborv1.Policy{response.GetPolicy()}, out.Now()).Write(out.Stdout, "")
	})
}

func policiesRemoveCommand(a *app) *cobra.Command {
	cmd := a.printing(&cobra.Command{
		Use:   "remove GLOB",
		Short: "Remove the policy with this glob",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewPolicyServiceClient(conn).RemovePolicy(ctx, &pgharborv1.RemovePolicyRequest{Glob: args[0]})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				_, err := fmt.Fprintf(a.out.Stdout, "Removed the policy for %s.\n", output.Name(response.GetPolicy().GetGlob()))
				return err
			})
		}),
	})
	a.approvable(cmd)
	return cmd
}
