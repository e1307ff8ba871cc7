// Package guard is the one way into the API, whatever a call came by: who calls, what they may do
// and where, the bounds of what they send, and the entry of the audit log if they are refused. How
// a caller shows who they are is an Authenticator's.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
)

// Guard decides on each call before its own code runs. Its fields are set before use
// and not changed after.
type Guard struct {
	Authenticator Authenticator
	Catalog       *catalog.Catalog
	Audit         *audit.Log
	Notifications *session.Notifications
	Log           *slog.Logger
	Now           func() time.Time

	handlers sync.WaitGroup // of streams
}

// Wait returns when no stream is served any longer.
func (g *Guard) Wait() { g.handlers.Wait() }

// callWithin is the deadline of a unary call, if the caller's own is not earlier.
const callWithin = time.Minute

// Unary decides who calls and whether they may, on every call.
func (g *Guard) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	ctx, caller, err := g.authorize(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := checkBounds(info.FullMethod, request); err != nil {
		return nil, err
	}
	if _, err := g.admit(ctx, info.FullMethod, caller, request); err != nil {
		return nil, err
	}
	if rule, _ := access.RuleFor(info.FullMethod); rule.Scoping.Kind == access.ByFilter {
		return answerList(ctx, request, info.FullMethod, handler)
	}
	return handler(ctx, request)
}

// authorize returns the context with the caller in it. A refusal of somebody who is known is
// written to the audit log.
func (g *Guard) authorize(ctx context.Context, method string) (context.Context, fleet.Caller, error) {
	caller, err := g.Authenticator.Authenticate(ctx)
	if err != nil {
		return ctx, fleet.Caller{}, err
	}
	if caller != nil {
		if err := g.signIn(ctx, *caller); err != nil {
			return ctx, *caller, err
		}
	}
	if err := access.Allow(method, caller); err != nil {
		if caller == nil {
			return ctx, fleet.Caller{}, err
		}
		return ctx, *caller, g.Deny(ctx, method, *caller, "", err)
	}
	if caller == nil {
		return ctx, fleet.Caller{}, nil
	}
	return withCaller(ctx, *caller), *caller, nil
}

// Deny writes to the audit log that somebody who is known was refused, and returns why.
func (g *Guard) Deny(ctx context.Context, method string, caller fleet.Caller, instance string, why error) error {
	return errors.Join(why, g.denied(ctx, method, caller, instance, why))
}

func (g *Guard) denied(ctx context.Context, method string, caller fleet.Caller, instance string, why error) error {
	return g.Audit.Denied(ctx, audit.Action{Actor: caller.String(), Action: ActionOf(method), Instance: instance, Detail: why.Error()})
}

// seenEvery is how exactly it is known when a device was seen last.
const seenEvery = time.Minute

// signIn records that a person's device is in use. Its first call is an entry of the audit log, and
// where that can't be written it is refused.
func (g *Guard) signIn(ctx context.Context, caller fleet.Caller) error {
	now := g.Now().UTC()
	if caller.Kind != fleet.CallerUser || now.Sub(caller.LastSeenAt).Abs() < seenEvery {
		return nil
	}
	err := g.Catalog.Devices.SignIn(ctx, caller, now)
	if err != nil && !caller.LastSeenAt.IsZero() {
		g.Log.Warn("it could not be recorded that a device was seen", "caller", caller.String(), "identity", caller.Identity, "error", err)
		return nil
	}
	return err
}

// ActionOf is the name of an RPC in the audit log if it has no verb of its own:
// "BackupService/StartBackup".
func ActionOf(method string) string { return strings.TrimPrefix(method, "/pgharbor.v1.") }
