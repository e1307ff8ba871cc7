package api

import (
	"context"
	"errors"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type backupService struct {
	pgharborv1.UnimplementedBackupServiceServer
	*API
}

func (s *backupService) ListBackups(ctx context.Context, request *pgharborv1.ListBackupsRequest) (*pgharborv1.ListBackupsResponse, error) {
	query := catalog.BackupQuery{
		Page:     page(request.GetPageSize(), request.GetPageToken()),
		Instance: request.GetInstance(), Database: request.GetDatabase(), IncludeRemoved: request.GetIncludeRemoved(),
		Scope: guard.ListScope(ctx),
	}
	if request.GetSince() != nil {
		query.Since = request.GetSince().AsTime()
	}
	backups, next, err := s.Catalog.Backups.List(ctx, query)
	if err == nil && len(backups) == 0 {
		err = s.checkKnown(ctx, guard.ListScope(ctx), request)
	}
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListBackupsResponse{Backups: toProto(backups, backupToProto), NextPageToken: next}, nil
}

func (s *backupService) GetBackup(ctx context.Context, request *pgharborv1.GetBackupRequest) (*pgharborv1.GetBackupResponse, error) {
	backup, err := s.Catalog.Backups.Get(ctx, request.GetId())
	if err != nil {
		return nil, err
	}
	shown := backupToProto(backup)
	shown.Tables = tablesToProto(backup.Manifest.Tables)
	if backup.Manifest.Globals != nil {
		shown.Globals.Roles = backup.Manifest.Globals.Roles
	}
	return &pgharborv1.GetBackupResponse{Backup: shown}, nil
}

func (s *backupService) StartBackup(ctx context.Context, request *pgharborv1.StartBackupRequest) (*pgharborv1.StartBackupResponse, error) {
	job, err := s.startJob(ctx, request.GetRequestId(), audit.Action{
		Action: string(fleet.PermissionBackupRun), Instance: request.GetInstance(), Target: request.GetDatabase(),
	}, fleet.Job{
		Kind: fleet.JobBackup, Instance: request.GetInstance(), Spec: fleet.JobSpec{Database: request.GetDatabase()},
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.StartBackupResponse{Job: jobToProto(job, nil)}, nil
}

// startJob asks an agent for something on behalf of the caller: the audit log first, then the row,
// then the notification. The audit log's entry is completed when the job ends.
func (a *API) startJob(ctx context.Context, requestID string, action audit.Action, job fleet.Job) (fleet.Job, error) {
	caller := guard.CallerFrom(ctx)
	if err := checkTexts(action.Reason, requestID, job.Spec.Database, job.Spec.TargetDatabase); err != nil {
		return job, err
	}
	if requestID != "" {
		earlier, err := a.Catalog.Jobs.ByRequest(ctx, caller.String(), requestID)
		if err == nil {
			return earlier, sameRequest(earlier, job, requestID)
		}
		if !errors.Is(err, fleet.ErrNotFound) {
			return earlier, err
		}
	}
	if err := a.Sessions.CheckReachable(ctx, job.Instance); err != nil {
		return job, err
	}
	if err := a.Approvals.PassJob(ctx, caller, job); err != nil {
		return job, err
	}
	action.Actor = caller.String()
	sequence, err := a.Audit.Begin(ctx, action)
	if err != nil {
		return job, err
	}
	job.ID, job.RequestID, job.RequestedBy, job.AuditSequence = fleet.NewID(), requestID, caller.String(), sequence
	started, err := a.Sessions.Submit(ctx, job)
	switch {
	case err != nil:
		return job, errors.Join(err, a.Audit.End(ctx, sequence, "", err))
	case started.ID != job.ID: // the same request id, twice at once
		err := sameRequest(started, job, requestID)
		return started, errors.Join(err, a.Audit.End(ctx, sequence, "the same request id as job "+started.ID, err))
	}
	return started, nil
}

// sameRequest refuses a request whose id led to a job of another content. It was
// admitted, and approved of, for what it says and not for what its id once said.
func sameRequest(earlier, asked fleet.Job, requestID string) error {
	if earlier.Kind == asked.Kind && earlier.Instance == asked.Instance && earlier.Spec == asked.Spec {
		return nil
	}
	return fleet.NewProblem(fleet.ErrExists, "the request id %q was used before, for another request", requestID).
		WithHint("give each request an id of its own; the same id is for sending the same request again")
}
