package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
)

// callWithin bounds a call that is no stream, whatever its caller allows it.
const callWithin = time.Minute

// AuthorizeUnary settles who calls and whether they may, on every call.
func (a *API) AuthorizeUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	ctx, caller, err := a.authorize(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := checkBounds(info.FullMethod, request); err != nil {
		return nil, err
	}
	if _, err := a.admit(ctx, info.FullMethod, caller, request); err != nil {
		return nil, err
	}
	if rule, _ := access.RuleFor(info.FullMethod); rule.Scoping.Kind == access.ByFilter {
		return answerList(ctx, request, info.FullMethod, handler)
	}
	return handler(ctx, request)
}

// AuthorizeStream does the same for streams, and again whenever the caller's
// rights have changed: a stream that its caller may no longer open ends, whatever
// it waits for.
func (a *API) AuthorizeStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, caller, err := a.authorize(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	scoped := newScopedStream(ctx, a, stream, info.FullMethod, caller)

	changed, leave := a.Bells.Listen(session.CallerBell(caller.String()))
	defer leave()
	again := func() error {
		_, caller, err := a.authorize(stream.Context(), info.FullMethod)
		if err == nil {
			err = scoped.changed(caller)
		}
		return err
	}
	// What changed before there was anybody to hear the bell.
	if err := again(); err != nil {
		return err
	}
	// A Send to a slow reader does not see the context. Returning ends the
	// stream and with it the Send, so the handler is not waited for here.
	done := make(chan error, 1)
	a.handlers.Go(func() { done <- handler(server, scoped) })
	for {
		select {
		case err := <-done:
			return err
		case <-changed:
			if err := again(); err != nil {
				cancel(err)
				return err
			}
		}
	}
}

// authorize returns the context with the caller in it. A refusal of somebody
// who is known is written to the trail.
func (a *API) authorize(ctx context.Context, method string) (context.Context, fleet.Caller, error) {
	caller, err := a.authenticate(ctx)
	if err != nil {
		return ctx, fleet.Caller{}, err
	}
	if caller != nil {
		if err := a.signIn(ctx, *caller); err != nil {
			return ctx, *caller, err
		}
	}
	if err := access.Allow(method, caller); err != nil {
		if caller == nil {
			return ctx, fleet.Caller{}, err
		}
		return ctx, *caller, a.deny(ctx, method, *caller, "", err)
	}
	if caller == nil {
		return ctx, fleet.Caller{}, nil
	}
	return context.WithValue(ctx, callerKey{}, *caller), *caller, nil
}

// deny writes to the trail that somebody who is known was refused, and returns
// why.
func (a *API) deny(ctx context.Context, method string, caller fleet.Caller, instance string, why error) error {
	return errors.Join(why, a.denied(ctx, method, caller, instance, why))
}

func (a *API) denied(ctx context.Context, method string, caller fleet.Caller, instance string, why error) error {
	return a.Trail.Denied(ctx, audit.Action{Actor: caller.String(), Action: actionOf(method), Instance: instance, Detail: why.Error()})
}

// seenEvery is how exactly it is known when a device was seen last.
const seenEvery = time.Minute

// signIn notes that a person's device is in use. Its first call is an entry of
// the trail, and where that can't be written it is refused.
func (a *API) signIn(ctx context.Context, caller fleet.Caller) error {
	now := a.Now().UTC()
	if caller.Kind != fleet.CallerUser || now.Sub(caller.LastSeenAt).Abs() < seenEvery {
		return nil
	}
	err := a.Catalog.Devices.SignIn(ctx, caller, now)
	if err != nil && !caller.LastSeenAt.IsZero() {
		a.Log.Warn("it could not be noted that a device was seen", "caller", caller.String(), "identity", caller.Identity, "error", err)
		return nil
	}
	return err
}

// authenticate returns who the certificate of the connection belongs to, or
// nil where the peer showed none.
func (a *API) authenticate(ctx context.Context) (*fleet.Caller, error) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, nil
	}
	connection, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok || len(connection.State.VerifiedChains) == 0 {
		return nil, nil
	}
	principal, err := pki.FromCertificate(connection.State.PeerCertificates[0])
	if err != nil {
		return nil, fleet.NewProblem(fleet.ErrUnauthenticated, "%v", err)
	}
	caller, err := a.callerOf(ctx, principal)
	if err != nil {
		return nil, err
	}
	return &caller, nil
}

// checkWithin bounds what a handshake may ask of the catalog.
const checkWithin = 5 * time.Second

// CheckPrincipal refuses a handshake, also a resumed one, with a certificate
// whose owner is unknown or was revoked.
func (a *API) CheckPrincipal(p pki.Principal) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkWithin)
	defer cancel()
	_, err := a.callerOf(ctx, p)
	return a.noteRefused(ctx, p, err)
}

// callerOf returns who a certificate's principal is at this moment, or
// fleet.ErrUnauthenticated where it is unknown or was revoked.
func (a *API) callerOf(ctx context.Context, p pki.Principal) (fleet.Caller, error) {
	return a.Catalog.Identities.Caller(ctx, fleet.CallerKind(p.Kind), p.Name, p.Identity)
}

// actionOf is an RPC as the trail names it where no better word is at hand:
// "BackupService/StartBackup".
func actionOf(method string) string { return strings.TrimPrefix(method, "/pgharbor.v1.") }
