package api

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type restoreService struct {
	pgharborv1.UnimplementedRestoreServiceServer
	*API
}

func (s *restoreService) CreateRestore(ctx context.Context, request *pgharborv1.CreateRestoreRequest) (*pgharborv1.CreateRestoreResponse, error) {
	target, reason := request.GetTargetDatabase(), strings.TrimSpace(request.GetReason())
	roles, err := checkRestore(request)
	if err != nil {
		return nil, err
	}
	backup, err := s.restorableBackup(ctx, request.GetBackupId())
	if err != nil {
		return nil, err
	}
	instance, source, err := s.restoreOn(ctx, backup, request.GetTargetInstance())
	if err != nil {
		return nil, err
	}
	enrolment := ""
	if source != "" {
		if enrolment, err = s.Catalog.Agents.Enrolment(ctx, instance); err != nil {
			return nil, err
		}
		if err := checkEgress(guard.CallerFrom(ctx), backup, instance); err != nil {
			return nil, s.Guard.Deny(ctx, pgharborv1.RestoreService_CreateRestore_FullMethodName, guard.CallerFrom(ctx), source, err)
		}
	}
	spec := fleet.JobSpec{
		SourceInstance: source, TargetEnrolment: enrolment, Unsealed: source != "" && !backup.Manifest.Encrypted,
		BackupID: backup.ID, Database: backup.Database, TargetDatabase: target, Replace: request.GetReplace(), Reason: reason,
		WithRoles: request.GetWithRoles(), TrustContent: request.GetTrustContent(),
	}
	job, err := s.startJob(ctx, request.GetRequestId(), audit.Action{
		Action: string(fleet.PermissionBackupRestore), Instance: instance, Target: backup.ID, Reason: reason,
		Detail: restoreDetail(spec, roles),
	}, fleet.Job{Kind: fleet.JobRestore, Instance: instance, Spec: spec})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.CreateRestoreResponse{Restore: restoreToProto(fleet.Restore{Job: job})}, nil
}

// checkRestore refuses a request that can't be meant, and returns what the audit log says of its
// roles.
func checkRestore(request *pgharborv1.CreateRestoreRequest) (roles string, err error) {
	target := request.GetTargetDatabase()
	if err := fleet.CheckTarget(target); err != nil {
		return "", err
	}
	switch {
	case request.GetConfirm() != target:
		return "", fleet.NewProblem(fleet.ErrInvalid, "the confirmation is %q, not the target's name %q", request.GetConfirm(), target)
	case strings.TrimSpace(request.GetReason()) == "":
		return "", fleet.NewProblem(fleet.ErrInvalid, "a restore needs a reason, for the audit log")
	}
	return rolesDetail(request.GetWithRoles())
}

// restoreDetail is what the audit log says of a restore.
func restoreDetail(spec fleet.JobSpec, roles string) string {
	detail := "into the database " + spec.TargetDatabase
	if spec.Replace {
		detail += ", which it replaces"
	}
	detail += roles
	if spec.TrustContent {
		detail += ", with trust in its content"
	}
	if spec.SourceInstance != "" {
		detail += ", from " + spec.SourceInstance
	}
	if spec.Unsealed {
		detail += ", in plaintext"
	}
	return detail
}

// restoreOn returns the instance to restore on, and the backup's own if that is another one; both
// agents are needed then.
func (s *restoreService) restoreOn(ctx context.Context, backup fleet.Backup, target string) (instance, source string, err error) {
	if target == "" || target == backup.Instance {
		return backup.Instance, "", nil
	}
	return target, backup.Instance, s.Sessions.CheckReachable(ctx, backup.Instance)
}

// checkEgress holds a backup that leaves its instance for another one within what its requester may
// do: when they ask, and when its bytes are about to leave. One that is not sealed is plaintext on
// the other's host, and so it takes what a download takes.
func checkEgress(c fleet.Caller, backup fleet.Backup, target string) error {
	if err := access.AllowOn(pgharborv1.RestoreService_CreateRestore_FullMethodName, c, backup.Instance, target); err != nil {
		return err
	}
	if backup.Manifest.Encrypted || access.HasOn(c, fleet.PermissionBackupDownload, backup.Instance) {
		return nil
	}
	return fleet.NewProblem(fleet.ErrDenied, "backup %s is not sealed: on another instance it is plaintext, as a download is, and that takes the permission %s",
		backup.ID, fleet.PermissionBackupDownload).
		WithHint("set BACKUP_ENCRYPT_PASSPHRASE_FILE on the agent of %s and make a new backup, or let an OWNER restore this one", backup.Instance)
}

// rolesDetail is what the audit log says of the roles that a restore makes.
func rolesDetail(withRoles string) (string, error) {
	switch withRoles {
	case "":
		return "", nil
	case fleet.RolesMissing:
		return ", with the roles that are missing", nil
	case fleet.RolesSuperuser:
		return ", with the roles that are missing, superusers among them", nil
	default:
		return "", fleet.NewProblem(fleet.ErrInvalid, "with_roles is %.64q; it is %q, %q or empty", withRoles, fleet.RolesMissing, fleet.RolesSuperuser)
	}
}

// restorableBackup returns a backup that nothing speaks against: what is known to
// be damaged, or to be another file than it was, is not restored.
func (a *API) restorableBackup(ctx context.Context, id string) (fleet.Backup, error) {
	backup, err := a.presentBackup(ctx, id)
	if err == nil && backup.State == fleet.BackupDamaged {
		return backup, fleet.NewProblem(fleet.ErrIntegrity, "backup %s of %s is damaged: %s", id, backup.Instance, backup.Damage).
			WithHint("pgharbor list --instance %s shows the others", backup.Instance)
	}
	return backup, err
}

// presentBackup returns a backup whose file can be read.
func (a *API) presentBackup(ctx context.Context, id string) (fleet.Backup, error) {
	backup, err := a.Catalog.Backups.Get(ctx, id)
	if err != nil {
		return backup, err
	}
	switch backup.State {
	case fleet.BackupRemoved:
		return backup, fleet.NewProblem(fleet.ErrConflict, "backup %s was removed: %s", id, backup.RemovedFor).
			WithHint("pgharbor list --instance %s shows those that are kept", backup.Instance)
	case fleet.BackupMissing:
		return backup, fleet.NewProblem(fleet.ErrConflict, "the file of backup %s is gone from %s", id, backup.Instance).
			WithHint("pgharbor list --instance %s shows those that are kept", backup.Instance)
	}
	return backup, nil
}

func (s *restoreService) GetRestore(ctx context.Context, request *pgharborv1.GetRestoreRequest) (*pgharborv1.GetRestoreResponse, error) {
	restore, err := s.Catalog.Restores.OfKind(ctx, request.GetId(), fleet.JobRestore, fleet.JobPreview)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GetRestoreResponse{Restore: restoreToProto(restore)}, nil
}

func (s *restoreService) ListRestores(ctx context.Context, request *pgharborv1.ListRestoresRequest) (*pgharborv1.ListRestoresResponse, error) {
	restores, next, err := s.Catalog.Restores.List(ctx, catalog.RestoreQuery{
		Page: page(request.GetPageSize(), request.GetPageToken()), Instance: request.GetInstance(),
		Scope: guard.ListScope(ctx),
	})
	if err == nil && len(restores) == 0 {
		err = s.checkKnown(ctx, guard.ListScope(ctx), request)
	}
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListRestoresResponse{Restores: toProto(restores, restoreToProto), NextPageToken: next}, nil
}
