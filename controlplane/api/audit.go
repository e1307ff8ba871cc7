package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type auditService struct {
	pgharborv1.UnimplementedAuditServiceServer
	*API
}

func (s *auditService) ListAuditEntries(ctx context.Context, request *pgharborv1.ListAuditEntriesRequest) (*pgharborv1.ListAuditEntriesResponse, error) {
	entries, next, err := s.Catalog.Audit(ctx, catalog.AuditQuery{
		Page: page(request.GetPageSize(), request.GetPageToken()), Instance: request.GetInstance(), Action: request.GetAction(),
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListAuditEntriesResponse{Entries: toProto(entries, entryToProto), NextPageToken: next}, nil
}

func entryToProto(e fleet.AuditEntry) *pgharborv1.AuditEntry {
	return &pgharborv1.AuditEntry{
		Sequence: e.Sequence, At: stamp(e.At), Actor: e.Actor, Action: e.Action, Instance: e.Instance, Target: e.Target,
		Reason: e.Reason, Outcome: e.Outcome, Detail: e.Detail, Completes: e.Completes,
	}
}
