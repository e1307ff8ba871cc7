package api

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
)

// ReportUnary logs each call once, and turns its error into a status.
func (a *API) ReportUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	begun := a.Now()
	response, err := handler(ctx, request)
	return response, a.report(info.FullMethod, begun, err)
}

// ReportStream does the same for streams.
func (a *API) ReportStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	begun := a.Now()
	return a.report(info.FullMethod, begun, handler(server, stream))
}

func (a *API) report(method string, begun time.Time, err error) error {
	shown := toStatus(err)
	attributes := []any{"method", guard.ActionOf(method), "took", a.Now().Sub(begun), "code", status.Code(shown).String()}
	switch {
	case err == nil:
		a.Log.Debug("rpc", attributes...)
	case status.Code(shown) == codes.Internal:
		a.Log.Error("rpc", append(attributes, "error", err)...)
	case errors.Is(err, context.Canceled):
		a.Log.Debug("rpc", append(attributes, "error", err)...)
	default:
		a.Log.Info("rpc", append(attributes, "error", err)...)
	}
	return shown
}
