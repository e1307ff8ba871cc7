package session

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// checkTarget ends a job that was for the agent that had the instance's name before, with fleet.ErrConflict.
func (s *session) checkTarget(ctx context.Context, job fleet.Job) error {
	if job.Spec.TargetEnrolment == "" {
		return nil
	}
	enrolment, err := s.Catalog.Agents.Enrolment(ctx, s.instance)
	if err != nil {
		return err
	}
	why := job.MeantFor(enrolment)
	if why == nil {
		return nil
	}
	now := s.Now().UTC()
	_, err = s.Catalog.Jobs.Finish(ctx, s.instance, job.ID,
		fleet.JobResult{State: fleet.JobFailed, Error: why.Error(), Failure: fleet.FailureOther, FinishedAt: now}, now)
	s.Log.Warn("job refused", "job", job.ID, "instance", s.instance, "reason", why)
	s.Notifications.Notify(JobChannel(job.ID))
	if err != nil {
		return err
	}
	return why
}

// addSource tells an agent that is to restore another instance's backup where to fetch it, and by
// which key the other agent is known.
func (s *session) addSource(ctx context.Context, job fleet.Job, spec *pgharborv1.RestoreSpec) error {
	if spec == nil || job.Spec.SourceInstance == "" {
		return nil
	}
	key, err := s.Catalog.Agents.SigningKey(ctx, job.Spec.SourceInstance)
	if err != nil {
		return err
	}
	spec.Source = &pgharborv1.RestoreSource{Instance: job.Spec.SourceInstance, TransferId: job.ID, SigningKey: key.Pinned}
	return nil
}
