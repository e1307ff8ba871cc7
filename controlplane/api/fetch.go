package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// actionFetch is what the audit log calls a backup that goes to another agent. Anyone who asked for
// it is who asked for the restore.
const actionFetch = "backup.fetch"

// Fetch passes on to an agent what the agent of another instance holds, for a restore that somebody
// asked the first one for; once for each restore, however that ends. The audit log says how much of
// it left.
func (s *transferService) Fetch(request *pgharborv1.FetchRequest, stream grpc.ServerStreamingServer[pgharborv1.FetchResponse]) error {
	ctx := stream.Context()
	restore, backup, err := s.toFetch(ctx, guard.CallerFrom(ctx).Name, request.GetTransferId())
	if err != nil {
		return err
	}
	// Before anything is written: an agent can ask as often as it likes.
	if err := s.Catalog.Jobs.CheckFetch(ctx, restore.ID); err != nil {
		if errors.Is(err, fleet.ErrConflict) {
			err = s.denied(ctx, restore, backup, err)
		}
		return err
	}
	end := backup.SizeBytes
	if backup.Manifest.Globals != nil {
		end += backup.Manifest.Globals.SizeBytes
	}
	announced := firstAnnounced(0, end)
	sequence, err := s.Audit.Begin(ctx, audit.Action{
		Actor: restore.RequestedBy, Action: actionFetch, Instance: backup.Instance, Target: backup.ID, Reason: restore.Spec.Reason,
		Detail: fmt.Sprintf("to %s, for the restore %s; up to byte %d of %d first", restore.Instance, restore.ID, announced, end),
	})
	if err != nil {
		return err
	}
	if err := s.Catalog.Jobs.TakeFetch(ctx, restore.ID, s.Now().UTC()); err != nil {
		return errors.Join(err, s.Audit.End(ctx, sequence, "nothing left", err))
	}
	ctx, leave := s.whileAsked(ctx, restore, backup)
	defer leave()
	sent, err := s.relay(ctx, delivery{
		backup: backup, whole: true, requestedBy: restore.RequestedBy, to: stream,
		egress: &egress{auditLog: s.Audit, sequence: sequence, size: end, announced: announced},
		header: func(ctx context.Context, from *transfer.Transfer) error {
			manifest, err := from.Manifest(ctx)
			if err != nil {
				return err
			}
			return stream.Send(&pgharborv1.FetchResponse{Part: &pgharborv1.FetchResponse_Header{Header: &pgharborv1.FetchHeader{Manifest: manifest}}})
		},
	})
	left := fmt.Sprintf("%d of %d bytes left for %s, sha256 %s", sent, end, restore.Instance, backup.Manifest.SHA256)
	return errors.Join(err, s.Audit.End(ctx, sequence, left, err))
}

// toFetch returns the restore that an agent was offered under this id, and the
// backup that it is to fetch. For any other agent it is as if there were none.
func (s *transferService) toFetch(ctx context.Context, instance, id string) (fleet.Job, fleet.Backup, error) {
	restore, err := s.Catalog.Jobs.Get(ctx, id)
	if errors.Is(err, fleet.ErrNotFound) || err == nil && (restore.Kind != fleet.JobRestore || restore.Instance != instance || restore.Spec.SourceInstance == "" || restore.State.Final()) {
		err = fleet.NewProblem(fleet.ErrNotFound, "no restore %q of %s waits for another instance's backup", id, instance)
	}
	if err != nil {
		return restore, fleet.Backup{}, err
	}
	backup, err := s.restorableBackup(ctx, restore.Spec.BackupID)
	if err == nil {
		err = s.checkRequester(ctx, restore, backup)
	}
	if err == nil {
		err = s.checkTarget(ctx, restore, backup)
	}
	if err != nil {
		return restore, backup, err
	}
	return restore, backup, s.Sessions.CheckReachable(ctx, backup.Instance)
}

// whileAsked is a context that ends when the requester of a restore could no longer ask for it.
func (s *transferService) whileAsked(ctx context.Context, restore fleet.Job, backup fleet.Backup) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	changed, deaf := s.Notifications.Listen(session.CallerChannel(restore.RequestedBy))
	s.handlers.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			if err := s.checkRequester(ctx, restore, backup); err != nil {
				cancel(err)
			}
		}
	})
	return ctx, func() { cancel(nil); deaf() }
}

// checkRequester refuses to let a backup leave for a restore that its requester could no longer ask
// for.
func (s *transferService) checkRequester(ctx context.Context, restore fleet.Job, backup fleet.Backup) error {
	name := strings.TrimPrefix(restore.RequestedBy, string(fleet.CallerUser)+":")
	user, err := s.Catalog.Users.Get(ctx, name)
	if err != nil {
		return err
	}
	why := checkEgress(user.Caller(), backup, restore.Instance)
	if !user.RevokedAt.IsZero() {
		why = fleet.NewProblem(fleet.ErrDenied, "%s, who asked for the restore, was revoked", restore.RequestedBy)
	}
	if why == nil {
		return nil
	}
	return s.denied(ctx, restore, backup, why)
}

// checkTarget refuses to let a backup leave for an agent that was enrolled since the restore was
// asked for, and approved of.
func (s *transferService) checkTarget(ctx context.Context, restore fleet.Job, backup fleet.Backup) error {
	now, err := s.Catalog.Agents.Enrolment(ctx, restore.Instance)
	if err != nil {
		return err
	}
	if why := restore.MeantFor(now); why != nil {
		return s.denied(ctx, restore, backup, why)
	}
	return nil
}

// denied writes that a backup did not leave for a restore, and returns why.
func (s *transferService) denied(ctx context.Context, restore fleet.Job, backup fleet.Backup, why error) error {
	return errors.Join(why, s.Audit.Denied(ctx, audit.Action{
		Actor: restore.RequestedBy, Action: actionFetch, Instance: backup.Instance, Target: backup.ID, Reason: restore.Spec.Reason,
		Detail: fmt.Sprintf("to %s, for the restore %s: %s", restore.Instance, restore.ID, why),
	}))
}
