// Package api serves pgharbor.v1: one file a gRPC service, each method a few lines between the wire
// and the domain. Anyone who calls, and whether they may, is decided by package guard before a
// method runs; how an error looks on the wire is decided in errors.go.
package api

import (
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/approval"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/enrolment"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/controlplane/notify"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// API is what the services work with. Its fields are set before use and not
// changed after.
type API struct {
	Catalog       *catalog.Catalog
	CA            *pki.Authorities
	Audit         *audit.Log
	Guard         *guard.Guard
	Approvals     *approval.Gate
	Enrolment     *enrolment.Enroller
	Invites       *enrolment.Inviter
	Checkpoints   *audit.Checkpoints
	Sessions      *session.Registry
	Notifications *session.Notifications
	Transfers     *transfer.Broker
	Evaluator     *health.Evaluator
	Notifier      *notify.Notifier
	Log           *slog.Logger
	Now           func() time.Time

	handlers sync.WaitGroup // what streams have begun in addition to themselves
}

// Wait returns when no stream is served any longer.
func (a *API) Wait() {
	a.Guard.Wait()
	a.handlers.Wait()
}

// Register adds every service to the server.
func (a *API) Register(s *grpc.Server) {
	pgharborv1.RegisterEnrollmentServiceServer(s, &enrollmentService{API: a})
	pgharborv1.RegisterIdentityServiceServer(s, &identityService{API: a})
	pgharborv1.RegisterSessionServiceServer(s, &sessionService{API: a})
	pgharborv1.RegisterTransferServiceServer(s, &transferService{API: a})
	pgharborv1.RegisterBackupServiceServer(s, &backupService{API: a})
	pgharborv1.RegisterRunServiceServer(s, &runService{API: a})
	pgharborv1.RegisterJobServiceServer(s, &jobService{API: a})
	pgharborv1.RegisterRestoreServiceServer(s, &restoreService{API: a})
	pgharborv1.RegisterRetentionServiceServer(s, &retentionService{API: a})
	pgharborv1.RegisterHealthServiceServer(s, &healthService{API: a})
	pgharborv1.RegisterAlertServiceServer(s, &alertService{API: a})
	pgharborv1.RegisterAgentServiceServer(s, &agentService{API: a})
	pgharborv1.RegisterUserServiceServer(s, &userService{API: a})
	pgharborv1.RegisterAuditServiceServer(s, &auditService{API: a})
	pgharborv1.RegisterApprovalServiceServer(s, &approvalService{API: a})
	pgharborv1.RegisterPolicyServiceServer(s, &policyService{API: a})
}

// stamp is a time on the wire; the zero time is left out.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// page is the part of a list that a request asks for.
func page(size int32, token string) catalog.Page { return catalog.Page{Size: int(size), Token: token} }

// What a person may write, in bytes: it is kept in the audit log forever.
const (
	maxReason    = 1000
	maxRequestID = 100
	maxDatabase  = 256 // Postgres allows 63 unless it was built otherwise
)

// checkTexts refuses texts that are longer than anybody would type.
func checkTexts(reason, requestID string, databases ...string) error {
	if len(reason) > maxReason {
		return fleet.NewProblem(fleet.ErrInvalid, "the reason has %d bytes, and %d are kept", len(reason), maxReason)
	}
	if len(requestID) > maxRequestID {
		return fleet.NewProblem(fleet.ErrInvalid, "the request id has %d bytes, and %d are kept", len(requestID), maxRequestID)
	}
	for _, database := range databases {
		if len(database) > maxDatabase {
			return fleet.NewProblem(fleet.ErrInvalid, "the name of the database has %d bytes, and no database has more than %d", len(database), maxDatabase)
		}
	}
	return nil
}
