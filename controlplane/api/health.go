package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/internal/shell"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type healthService struct {
	pgharborv1.UnimplementedHealthServiceServer
	*API
	// changing is held from the look at the thresholds that stand to their change, so
	// that what was approved of is what is changed.
	changing sync.Mutex
}

func (s *healthService) GetHealth(ctx context.Context, request *pgharborv1.GetHealthRequest) (*pgharborv1.GetHealthResponse, error) {
	report, err := evaluate(ctx, s.Evaluator, guard.ListScope(ctx), request.GetInstance(), request.GetDatabase(), request.GetVerdicts())
	if err != nil {
		return nil, err
	}
	return reportToProto(report), nil
}

// WatchHealth evaluates at every heartbeat: most verdicts come of time passing, and no change of
// the catalog reports that. Between two looks it holds only a digest.
func (s *healthService) WatchHealth(request *pgharborv1.WatchHealthRequest, stream grpc.ServerStreamingServer[pgharborv1.WatchHealthResponse]) error {
	ctx := stream.Context()
	ticker := time.NewTicker(s.Evaluator.Heartbeat)
	defer ticker.Stop()
	var sent [sha256.Size]byte // of what was sent last
	scope := guard.ListScope(ctx)
	for first := true; ; first = false {
		report, err := evaluate(ctx, s.Evaluator, scope, request.GetInstance(), request.GetDatabase(), request.GetVerdicts())
		if err != nil {
			return err
		}
		if digest := report.Digest(); first || digest != sent {
			if err := stream.Send(&pgharborv1.WatchHealthResponse{Health: reportToProto(report)}); err != nil {
				return err
			}
			sent = digest
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		// A watch may last for days, and the scope may change meanwhile.
		caller, err := s.Guard.Authenticator.Authenticate(ctx)
		if err != nil {
			return err
		}
		scope = caller.Instances
	}
}

func evaluate(ctx context.Context, by *health.Evaluator, scope fleet.Scope, instance, database string, verdicts []string) (health.Report, error) {
	query := health.Query{Instance: instance, Database: database, Scope: scope}
	for _, word := range verdicts {
		verdict := fleet.Verdict(strings.ToUpper(word))
		if !slices.Contains(fleet.Verdicts(), verdict) {
			return health.Report{}, fleet.NewProblem(fleet.ErrInvalid, "%q is no verdict", word).WithHint("the verdicts are %v", shell.Words(fmt.Sprint(fleet.Verdicts())))
		}
		query.Verdicts = append(query.Verdicts, verdict)
	}
	return by.Fleet(ctx, query)
}

func reportToProto(r health.Report) *pgharborv1.GetHealthResponse {
	return &pgharborv1.GetHealthResponse{
		Healthy: r.Healthy, CheckedAt: stamp(r.CheckedAt), Databases: toProto(r.Statuses, databaseStatusToProto),
	}
}

func databaseStatusToProto(j *fleet.DatabaseStatus) *pgharborv1.DatabaseHealth {
	shown := &pgharborv1.DatabaseHealth{
		Instance: j.Instance, Database: j.Database, Verdict: string(j.Verdict),
		AgentLastSeenAt: stamp(j.Agent.LastSeenAt), Warnings: j.Warnings,
		NextRunAt: stamp(j.Agent.Status.NextRunAt), NextPurgeAt: stamp(j.Agent.Status.NextPurgeAt),
		Reasons: toProto(j.Reasons, func(r fleet.Reason) *pgharborv1.HealthReason {
			return &pgharborv1.HealthReason{Verdict: string(r.Verdict), Text: r.Text, NextStep: r.NextStep}
		}),
	}
	if j.NewestBackup != nil {
		for _, size := range j.Sizes {
			shown.RecentSizesBytes = append(shown.RecentSizesBytes, size.Stored)
		}
		shown.RecentSizesBytes = append(shown.RecentSizesBytes, j.NewestBackup.SizeBytes)
		shown.NewestBackupAt, shown.NewestBackupSizeBytes = stamp(j.NewestBackup.CreatedAt), j.NewestBackup.SizeBytes
	}
	if j.TestRestored != nil {
		shown.Proof = testRestoreToProto(j.TestRestored.TestRestore)
	}
	if j.RestoreTakes > 0 {
		shown.RestoreTakes = durationpb.New(j.RestoreTakes)
	}
	if j.NewestRun != nil {
		shown.NewestRunState = j.NewestRun.State
	}
	return shown
}
