package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
)

// CheckMethods returns an error where the server has an RPC that no table of
// package access names, or a table names one that it does not have.
func CheckMethods(s *grpc.Server) error {
	served := map[string]bool{}
	for service, info := range s.GetServiceInfo() {
		for _, method := range info.Methods {
			served["/"+service+"/"+method.Name] = true
		}
	}
	for method := range served {
		if _, named := access.RuleFor(method); !named {
			return fmt.Errorf("no rule of package access names the RPC %s", method)
		}
	}
	for _, method := range access.Methods() {
		if !served[method] {
			return fmt.Errorf("package access names the RPC %s, which is not served", method)
		}
	}
	return nil
}

// AuthorizeUnary settles who calls and whether they may, on every call.
func (a *API) AuthorizeUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, _, err := a.authorize(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

// AuthorizeStream does the same for streams, and again whenever the caller's
// rights have changed: a revoked caller's stream ends, whatever it waits for.
func (a *API) AuthorizeStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, caller, err := a.authorize(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wrapped := middleware.WrapServerStream(stream)
	wrapped.WrappedContext = ctx

	changed, leave := a.Bells.Listen(session.CallerBell(caller.String()))
	defer leave()
	// A Send to a slow reader does not see the context. Returning ends the
	// stream and with it the Send, so the handler is not waited for here.
	done := make(chan error, 1)
	a.handlers.Go(func() { done <- handler(server, wrapped) })
	for {
		select {
		case err := <-done:
			return err
		case <-changed:
			if _, _, err := a.authorize(stream.Context(), info.FullMethod); err != nil {
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
	if err := access.Allow(method, caller); err != nil {
		if caller == nil {
			return ctx, fleet.Caller{}, err
		}
		denied := audit.Action{Actor: caller.String(), Action: actionOf(method), Detail: err.Error()}
		return ctx, *caller, errors.Join(err, a.Trail.Denied(ctx, denied))
	}
	if caller == nil {
		return ctx, fleet.Caller{}, nil
	}
	return context.WithValue(ctx, callerKey{}, *caller), *caller, nil
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
	return err
}

// callerOf returns who a certificate's principal is at this moment, or
// fleet.ErrUnauthenticated where it is unknown or was revoked.
func (a *API) callerOf(ctx context.Context, p pki.Principal) (fleet.Caller, error) {
	return a.Catalog.Caller(ctx, fleet.CallerKind(p.Kind), p.Name, p.Identity)
}

// actionOf is an RPC as the trail names it where no better word is at hand:
// "BackupService/StartBackup".
func actionOf(method string) string { return strings.TrimPrefix(method, "/pgharbor.v1.") }
