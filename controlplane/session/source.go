package session

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// addSource tells an agent that is to restore another instance's backup where to
// fetch it, and by which key the other agent is known.
func (s *session) addSource(ctx context.Context, job fleet.Job, spec *pgharborv1.RestoreSpec) error {
	if spec == nil || job.Spec.SourceInstance == "" {
		return nil
	}
	key, err := s.Catalog.SigningKey(ctx, job.Spec.SourceInstance)
	if err != nil {
		return err
	}
	spec.Source = &pgharborv1.RestoreSource{Instance: job.Spec.SourceInstance, TransferId: job.ID, SigningKey: key.Pinned}
	return nil
}
