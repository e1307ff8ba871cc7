package api

import (
	"context"
	"math"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/shell"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// exportPage is how many entries one message of an export carries.
const exportPage = 500

type auditService struct {
	pgharborv1.UnimplementedAuditServiceServer
	*API
}

func (s *auditService) ListAuditEntries(ctx context.Context, request *pgharborv1.ListAuditEntriesRequest) (*pgharborv1.ListAuditEntriesResponse, error) {
	query := catalog.AuditQuery{
		Page: page(request.GetPageSize(), request.GetPageToken()), Instance: request.GetInstance(), Action: request.GetAction(),
		Actor: request.GetActor(), Target: request.GetTarget(), Outcome: request.GetOutcome(),
	}
	if request.GetSince() != nil {
		query.Since = request.GetSince().AsTime()
	}
	if request.GetUntil() != nil {
		query.Until = request.GetUntil().AsTime()
	}
	if outcome := request.GetOutcome(); outcome != "" && !slices.Contains(chain.Outcomes, outcome) {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%q is no outcome", outcome).WithHint("the outcomes are %s", shell.Words(strings.Join(chain.Outcomes, ", ")))
	}
	entries, next, err := s.Catalog.AuditLog.List(ctx, query)
	if err == nil && len(entries) == 0 {
		err = s.checkKnown(ctx, nil, request)
	}
	if err == nil && len(entries) == 0 {
		err = s.checkAction(ctx, request.GetAction())
	}
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListAuditEntriesResponse{Entries: toProto(entries, entryToProto), NextPageToken: next}, nil
}

// ExportAuditEntries sends pages that are read one by one: entries do not change, so that together
// they are of one moment anyway.
func (s *auditService) ExportAuditEntries(_ *pgharborv1.ExportAuditEntriesRequest, stream grpc.ServerStreamingServer[pgharborv1.ExportAuditEntriesResponse]) error {
	ctx := stream.Context()
	checkpoint, err := s.Catalog.AuditLog.Checkpoint(ctx)
	if err != nil {
		return err
	}
	sealed, err := s.Catalog.AuditLog.Sealed(ctx)
	if err != nil {
		return err
	}
	sent := int64(math.MinInt64)
	if sealed.Valid() {
		sent = sealed.Sequence
	}
	for sent < checkpoint.Sequence {
		entries, err := s.Catalog.AuditLog.After(ctx, sent, exportPage)
		if err != nil {
			return err
		}
		// What was added since is for the next export. An audit log that somebody has cut meanwhile
		// ends where it ends, and anyone who verifies it will see that.
		for len(entries) > 0 && entries[len(entries)-1].Sequence > checkpoint.Sequence {
			entries = entries[:len(entries)-1]
		}
		if len(entries) == 0 {
			return nil
		}
		if err := stream.Send(&pgharborv1.ExportAuditEntriesResponse{Entries: toProto(entries, entryToProto)}); err != nil {
			return err
		}
		sent = entries[len(entries)-1].Sequence
	}
	return nil
}

func (s *auditService) ListTrailHeads(ctx context.Context, _ *pgharborv1.ListTrailHeadsRequest) (*pgharborv1.ListTrailHeadsResponse, error) {
	response := &pgharborv1.ListTrailHeadsResponse{}
	held, err := s.Catalog.AuditLog.HeldCheckpoints(ctx)
	if err != nil {
		return nil, err
	}
	response.Witnessed = toProto(held, func(h catalog.HeldCheckpoint) *pgharborv1.WitnessedHead {
		return &pgharborv1.WitnessedHead{Instance: h.Instance, Head: checkpointToProto(h.SignedCheckpoint), ToldAt: stamp(h.ToldAt)}
	})
	checkpoint, err := s.Checkpoints.Current(ctx)
	if err != nil {
		return nil, err
	}
	seal, err := s.Checkpoints.Seal(ctx)
	if err != nil {
		return nil, err
	}
	if seal.Valid() {
		response.Seal = sealToProto(seal)
	}
	if checkpoint.Valid() {
		response.Head = checkpointToProto(checkpoint)
	}
	return response, nil
}

func entryToProto(e chain.Entry) *pgharborv1.AuditEntry {
	return &pgharborv1.AuditEntry{
		Sequence: e.Sequence, At: stamp(e.At), Actor: e.Actor, Action: e.Action, Instance: e.Instance, Target: e.Target,
		Reason: e.Reason, Outcome: e.Outcome, Detail: e.Detail, Completes: e.Completes, PreviousHash: e.PreviousHash, Hash: e.Hash,
	}
}

func checkpointToProto(h chain.SignedCheckpoint) *pgharborv1.TrailHead {
	return &pgharborv1.TrailHead{Sequence: h.Sequence, Hash: h.Hash, At: stamp(h.At), Signature: h.Signature, Certificate: h.Certificate}
}

func sealToProto(s chain.Seal) *pgharborv1.TrailSeal {
	return &pgharborv1.TrailSeal{
		Sequence: s.Sequence, Hash: s.Hash, FileSha256: s.FileSHA256, At: stamp(s.At), Signature: s.Signature, Certificate: s.Certificate,
	}
}
