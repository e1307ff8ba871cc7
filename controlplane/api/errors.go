package api

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
	"github.com/pgharbor/pgharbor/internal/words"
)

// errorDomain marks the details that carry a hint, and the approval that is
// waited for, for the CLI.
const errorDomain = "pgharbor"

// codeOf is the one place where causes become gRPC codes.
func codeOf(err error) codes.Code {
	for _, known := range []struct {
		cause error
		code  codes.Code
	}{
		{fleet.ErrInvalid, codes.InvalidArgument},
		{fleet.ErrNotFound, codes.NotFound},
		{fleet.ErrExists, codes.AlreadyExists},
		{fleet.ErrConflict, codes.FailedPrecondition},
		{fleet.ErrUnauthenticated, codes.Unauthenticated},
		{fleet.ErrDenied, codes.PermissionDenied},
		{fleet.ErrUnreachable, codes.Unavailable},
		{fleet.ErrIntegrity, codes.DataLoss},
		{session.ErrSuperseded, codes.Aborted},
		{session.ErrDuplicate, codes.Aborted},
		{session.ErrShutdown, codes.Unavailable},
		{transfer.ErrReceiverGone, codes.Canceled},
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
	} {
		if errors.Is(err, known.cause) {
			return known.code
		}
	}
	return codes.Internal
}

// toStatus turns an error into what the caller gets: its text and, if there is one, the hint. What
// is not meant for callers stays in the log.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, already := status.FromError(err); already {
		return err
	}
	code := codeOf(err)
	if code == codes.Internal {
		return status.Error(code, "the control plane failed to do this; its log says why")
	}
	var problem *fleet.Problem
	if !errors.As(err, &problem) || problem.Hint == "" {
		return status.Error(code, err.Error())
	}
	metadata := map[string]string{"hint": problem.Hint}
	if problem.Approval != "" {
		metadata["approval"] = problem.Approval
	}
	described, detailErr := status.New(code, err.Error()).WithDetails(
		&errdetails.ErrorInfo{Reason: code.String(), Domain: errorDomain, Metadata: metadata})
	if detailErr != nil {
		return status.Error(code, err.Error())
	}
	return described.Err()
}

// causeOf is the cause that an agent's word for a failure stands for.
func causeOf(failure string) error {
	switch failure {
	case words.FailureIntegrity:
		return fleet.ErrIntegrity
	case words.FailureNotFound:
		return fleet.ErrNotFound
	case words.FailureNotAllowed:
		return fleet.ErrDenied
	case fleet.FailureUnreachable:
		return fleet.ErrUnreachable
	default:
		return fleet.ErrConflict
	}
}
