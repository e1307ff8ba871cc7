package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// A shell waits for completions, so they come soon or not at all.
	completionTimeout = 2 * time.Second
	// One page of the newest backups is enough to choose from.
	completedBackups = 50
)

// completeInstance completes the first argument with the names of instances: those of the agents that the person may
// list.
func (a *app) completeInstance(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	all, err := allAgents(ctx, conn)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, agent := range all.GetAgents() {
		names = append(names, cobra.CompletionWithDesc(agent.GetName(), output.Name(agent.GetState())))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeBackup completes the first argument with the ids of the newest backups.
func (a *app) completeBackup(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	page, err := pgharborv1.NewBackupServiceClient(conn).ListBackups(ctx, &pgharborv1.ListBackupsRequest{PageSize: completedBackups})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []cobra.Completion
	for _, backup := range page.GetBackups() {
		ids = append(ids, cobra.CompletionWithDesc(backup.GetId(), output.Name(backup.GetInstance())+" "+
			output.Name(backup.GetDatabase())+" "+output.Time(backup.GetCreatedAt(), a.out.Now().Location())))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeApproval completes the first argument with the ids of pending approvals.
func (a *app) completeApproval(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	page, err := pgharborv1.NewApprovalServiceClient(conn).ListApprovals(ctx, &pgharborv1.ListApprovalsRequest{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []cobra.Completion
	for _, approval := range page.GetApprovals() {
		ids = append(ids, cobra.CompletionWithDesc(output.Name(approval.GetId()), output.Name(approval.GetAction())+" by "+
			output.Name(approval.GetRequestedBy())+": "+output.Line(approval.GetReason())))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeInstanceFlag(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("instance", func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.completeInstance(cmd, nil, typed)
	})
}
