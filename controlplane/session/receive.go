package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// receive takes over what the agent says until the stream ends. Whatever comes
// is a row of the catalog before the next message is read.
func (s *session) receive(ctx context.Context) error {
	watchdog := time.AfterFunc(s.silence(), func() { s.end(fmt.Errorf("no word from the agent for %s", s.silence())) })
	defer watchdog.Stop()
	for {
		message, err := s.stream.Recv()
		if err != nil {
			s.refusal.At = time.Time{}
			if told := s.tellRefused(context.WithoutCancel(ctx)); told != nil {
				return errors.Join(err, told)
			}
			return err
		}
		watchdog.Reset(s.silence())
		if s.hold(message) {
			err = s.take(ctx, message)
		} else if report := message.GetReport(); report != nil && name(maxReportID).holds(report.GetId()) {
			err = s.acknowledge(ctx, report)
		}
		if err = errors.Join(err, s.tellRefused(ctx)); err != nil {
			return err
		}
	}
}

func (s *session) take(ctx context.Context, message *pgharborv1.ConnectRequest) error {
	switch m := message.GetMessage().(type) {
	case *pgharborv1.ConnectRequest_Heartbeat:
		return s.takeHeartbeat(ctx, m.Heartbeat)
	case *pgharborv1.ConnectRequest_InventoryPage:
		return s.takeInventory(ctx, m.InventoryPage)
	case *pgharborv1.ConnectRequest_Report:
		return s.takeReport(ctx, m.Report)
	case *pgharborv1.ConnectRequest_JobUpdate:
		defer s.Notifications.Notify(JobChannel(m.JobUpdate.GetJobId()))
		return s.Catalog.Jobs.RecordProgress(ctx, s.instance, m.JobUpdate.GetJobId(), progressFrom(m.JobUpdate.GetProgress()), s.Now().UTC())
	default:
		return nil // a newer agent may say more than we understand
	}
}

func (s *session) takeHeartbeat(ctx context.Context, beat *pgharborv1.Heartbeat) error {
	now := s.Now().UTC()
	var err error
	if beat.GetStatus() != nil {
		err = s.takeStatus(ctx, "", s.status(beat.GetStatus()), now)
	} else {
		err = s.Catalog.Agents.RecordSeen(ctx, s.instance, now)
	}
	if err != nil {
		return err
	}
	if sent := timeFrom(beat.GetSentAt()); !sent.IsZero() {
		if err := s.Catalog.Agents.RecordClock(ctx, s.instance, sent.Sub(now)); err != nil {
			return err
		}
	}
	for _, run := range beat.GetRunning() {
		if err := s.unlessRefused(s.record(ctx, run, nil), "a run under way"); err != nil {
			return err
		}
	}
	// The journal was sent before the first heartbeat: a job that runs by the
	// catalog, is not held by the agent and has no result is lost.
	for _, id := range s.unheld {
		if err := s.loseUnheld(ctx, id); err != nil {
			return err
		}
	}
	s.unheld = nil
	s.wantInventory(beat.GetInventoryDigest())
	return nil
}

func (s *session) loseUnheld(ctx context.Context, id string) error {
	job, err := s.Catalog.Jobs.Get(ctx, id)
	if err != nil || job.State != fleet.JobRunning {
		return err
	}
	return s.loseJob(ctx, s.instance, id, "the agent of "+s.instance+" no longer knows of the job")
}

// takeReport takes over an entry of the agent's journal and acknowledges it once it is in the
// catalog. An entry that can never be taken over is acknowledged too, and logged: the agent would
// send it forever.
func (s *session) takeReport(ctx context.Context, report *pgharborv1.Report) error {
	if err := s.unlessRefused(s.takeEvent(ctx, report), "a report"); err != nil {
		return err
	}
	return s.acknowledge(ctx, report)
}

func (s *session) acknowledge(ctx context.Context, report *pgharborv1.Report) error {
	return s.reply(ctx, &pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_ReportAck{ReportAck: &pgharborv1.ReportAck{Id: report.GetId()}}})
}

// unlessRefused notes what the agent itself is at fault for and lets the session
// go on, and returns any other error.
func (s *session) unlessRefused(err error, what string) error {
	if errors.Is(err, fleet.ErrDenied) || errors.Is(err, fleet.ErrInvalid) || errors.Is(err, fleet.ErrNotFound) {
		s.refuse(what, err)
		return nil
	}
	return err
}

func (s *session) takeEvent(ctx context.Context, report *pgharborv1.Report) error {
	switch event := report.GetEvent().(type) {
	case *pgharborv1.Report_RunFinished:
		return s.record(ctx, event.RunFinished.GetRun(), event.RunFinished.GetBackup())
	case *pgharborv1.Report_BackupRemoved:
		removed := event.BackupRemoved
		s.Log.Info("backup removed", "instance", s.instance, "backup", removed.GetBackupId(), "reason", removed.GetReason())
		return s.Catalog.Backups.RecordRemoved(ctx, s.instance, removed.GetBackupId(), removed.GetReason(), s.happened(removed.GetRemovedAt()), s.Now().UTC())
	case *pgharborv1.Report_BackupScrubbed:
		return s.takeScrub(ctx, event.BackupScrubbed)
	case *pgharborv1.Report_BackupProved:
		return s.takeTestRestore(ctx, event.BackupProved)
	case *pgharborv1.Report_JobFinished:
		return s.takeResult(ctx, event.JobFinished)
	default:
		return fleet.NewProblem(fleet.ErrInvalid, "the report holds no event that this control plane knows")
	}
}

// takeResult takes over how a job has ended.
func (s *session) takeResult(ctx context.Context, finished *pgharborv1.JobFinished) error {
	result, err := resultFrom(finished)
	if err != nil {
		return err
	}
	now := s.Now().UTC()
	result.FinishedAt = s.happened(finished.GetFinishedAt())
	if result.Restore != nil {
		result.Restore.UndoneAt = notAfter(now, result.Restore.UndoneAt)
	}
	defer s.Notifications.Notify(JobChannel(finished.GetJobId()))
	_, err = s.Catalog.Jobs.Finish(ctx, s.instance, finished.GetJobId(), result, now)
	return err
}

// happened is when something was, by an agent's word: without one, or by a clock that
// is ahead, it is now, as it is told. What never was, or is yet to come, would never be
// old enough to be pruned, and would count for years.
func (s *session) happened(at *timestamppb.Timestamp) time.Time {
	now := s.Now().UTC()
	if told := timeFrom(at); !told.IsZero() {
		return notAfter(now, told)
	}
	return now
}

// record keeps a run, and its backup if it made one.
func (s *session) record(ctx context.Context, r *pgharborv1.Run, b *pgharborv1.Backup) error {
	run, err := runFrom(s.instance, r)
	if err != nil {
		return err
	}
	// By a clock that is years ahead, a run would stay the newest for years.
	now := s.Now().UTC()
	run.StartedAt, run.FinishedAt = notAfter(now, run.StartedAt), notAfter(now, run.FinishedAt)
	var backup *fleet.Backup
	if b != nil {
		made, err := backupFrom(s.instance, b)
		if err != nil {
			return err
		}
		examined := []fleet.Backup{made}
		if err := s.examine(ctx, examined); err != nil {
			return err
		}
		backup = &examined[0]
	}
	if err := s.Catalog.Runs.Record(ctx, run, backup); err != nil {
		return err
	}
	if run.JobID != "" {
		s.Notifications.Notify(JobChannel(run.JobID))
	}
	return nil
}

// notAfter is the time at, or now if at is further ahead than clocks may be.
func notAfter(now, at time.Time) time.Time {
	if at.After(now.Add(fleet.ClockSkew)) {
		return now
	}
	return at
}
