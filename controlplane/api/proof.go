package api

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (s *backupService) VerifyBackup(ctx context.Context, request *pgharborv1.VerifyBackupRequest) (*pgharborv1.VerifyBackupResponse, error) {
	job, err := s.startBackupJob(ctx, fleet.JobVerify, string(fleet.PermissionBackupVerify), request.GetId(), "", request.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.VerifyBackupResponse{Job: jobToProto(job, nil)}, nil
}

func (s *backupService) HoldBackup(ctx context.Context, request *pgharborv1.HoldBackupRequest) (*pgharborv1.HoldBackupResponse, error) {
	job, err := s.startBackupJob(ctx, fleet.JobHold, string(fleet.PermissionBackupHold), request.GetId(), request.GetReason(), request.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.HoldBackupResponse{Job: jobToProto(job, nil)}, nil
}

func (s *backupService) ReleaseBackup(ctx context.Context, request *pgharborv1.ReleaseBackupRequest) (*pgharborv1.ReleaseBackupResponse, error) {
	job, err := s.startBackupJob(ctx, fleet.JobRelease, string(fleet.ActionRelease), request.GetId(), request.GetReason(), request.GetRequestId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ReleaseBackupResponse{Job: jobToProto(job, nil)}, nil
}

// startBackupJob asks the agent that has a backup to do something with it.
func (s *backupService) startBackupJob(ctx context.Context, kind fleet.JobKind, action, id, reason, requestID string) (fleet.Job, error) {
	backup, err := s.presentBackup(ctx, id)
	if err != nil {
		return fleet.Job{}, err
	}
	reason = strings.TrimSpace(reason)
	return s.startJob(ctx, requestID, audit.Action{
		Action: action, Instance: backup.Instance, Target: backup.ID, Reason: reason,
	}, fleet.Job{
		Kind: kind, Instance: backup.Instance,
		Spec: fleet.JobSpec{BackupID: backup.ID, Database: backup.Database, Reason: reason},
	})
}
