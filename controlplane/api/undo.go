package api

import (
	"context"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What the audit log calls these; the permission of both is that of a restore.
const (
	actionPreview = "restore.preview"
	actionUndo    = "restore.undo"
)

// PreviewRestore asks the agent for a preflight. The audit log has it too: it makes the agent open
// the file.
func (s *restoreService) PreviewRestore(ctx context.Context, request *pgharborv1.PreviewRestoreRequest) (*pgharborv1.PreviewRestoreResponse, error) {
	target := request.GetTargetDatabase()
	if err := fleet.CheckTarget(target); err != nil {
		return nil, err
	}
	if _, err := rolesDetail(request.GetWithRoles()); err != nil {
		return nil, err
	}
	backup, err := s.presentBackup(ctx, request.GetBackupId())
	if err != nil {
		return nil, err
	}
	job, err := s.startJob(ctx, request.GetRequestId(), audit.Action{
		Action: actionPreview, Instance: backup.Instance, Target: backup.ID, Detail: "into the database " + target,
	}, fleet.Job{
		Kind: fleet.JobPreview, Instance: backup.Instance,
		Spec: fleet.JobSpec{
			BackupID: backup.ID, Database: backup.Database, TargetDatabase: target, Replace: request.GetReplace(), WithRoles: request.GetWithRoles(),
		},
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.PreviewRestoreResponse{Restore: restoreToProto(fleet.Restore{Job: job})}, nil
}

func (s *restoreService) UndoRestore(ctx context.Context, request *pgharborv1.UndoRestoreRequest) (*pgharborv1.UndoRestoreResponse, error) {
	restore, err := s.Catalog.Restores.OfKind(ctx, request.GetRestoreId(), fleet.JobRestore)
	if err != nil {
		return nil, err
	}
	target := restore.Spec.TargetDatabase
	switch {
	case request.GetConfirm() != target:
		return nil, fleet.NewProblem(fleet.ErrInvalid, "the confirmation is %q, not the name of the database that was restored, %q", request.GetConfirm(), target)
	case !restore.UndoneAt.IsZero():
		return nil, fleet.NewProblem(fleet.ErrConflict, "restore %s was undone at %s", restore.ID, restore.UndoneAt.UTC().Format(time.RFC3339))
	case restore.Displaced == "":
		return nil, fleet.NewProblem(fleet.ErrConflict, "restore %s replaced no database that is still kept", restore.ID).
			WithHint("pgharbor restores shows what is kept, and until when")
	}
	job, err := s.startJob(ctx, request.GetRequestId(), audit.Action{
		Action: actionUndo, Instance: restore.Instance, Target: restore.ID, Reason: strings.TrimSpace(request.GetReason()),
		Detail: "of the database " + target,
	}, fleet.Job{
		Kind: fleet.JobUndo, Instance: restore.Instance,
		Spec: fleet.JobSpec{RestoreID: restore.ID, TargetDatabase: target, Reason: strings.TrimSpace(request.GetReason())},
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.UndoRestoreResponse{Restore: restoreToProto(restore), JobId: job.ID}, nil
}
