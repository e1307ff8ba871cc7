package guard

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Authenticator says who makes a call: by a certificate today, and by anything else
// that a transport can show tomorrow. It is asked again for a stream whenever its
// caller's rights have changed, and answers with the rights of that moment.
type Authenticator interface {
	// Authenticate returns nil for a caller who shows nothing, whom only the RPCs that need no
	// caller let in, and fleet.ErrUnauthenticated for what is shown without success.
	Authenticate(context.Context) (*fleet.Caller, error)
}

// callerKey is the context key of the caller.
type callerKey struct{}

func withCaller(ctx context.Context, caller fleet.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFrom returns who calls. The interceptors put it there for every method
// but enrolment; elsewhere it is the zero Caller, whom nothing is allowed.
func CallerFrom(ctx context.Context) fleet.Caller {
	caller, _ := ctx.Value(callerKey{}).(fleet.Caller)
	return caller
}
