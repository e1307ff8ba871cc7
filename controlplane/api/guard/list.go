package guard

import (
	"context"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// listKey is the context key of whether a list was limited.
type listKey struct{}

// ListScope is the scope to which a list must be limited. A list that has not called
// it is not sent; see answerList.
func ListScope(ctx context.Context) fleet.Scope {
	if limited, ok := ctx.Value(listKey{}).(*atomic.Bool); ok {
		limited.Store(true)
	}
	return CallerFrom(ctx).Instances
}

// answerList runs the handler of a list and refuses its answer if it has not looked at the caller's
// scope.
func answerList(ctx context.Context, request any, method string, handler grpc.UnaryHandler) (any, error) {
	limited := &atomic.Bool{}
	response, err := handler(context.WithValue(ctx, listKey{}, limited), request)
	if err == nil && !limited.Load() {
		return nil, fmt.Errorf("%s lists without a look at the scope of its caller", method)
	}
	return response, err
}
