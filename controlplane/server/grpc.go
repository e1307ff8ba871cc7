package server

import (
	"fmt"
	"runtime/debug"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/server/admission"
	"github.com/pgharbor/pgharbor/internal/chunk"
)

func newGRPC(a *controlPlane, admitted *admission.Controller, metrics *grpcprom.ServerMetrics) (*grpc.Server, error) {
	onPanic := recovery.WithRecoveryHandler(func(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) })
	// From the outside in: count, bound what is not read, log and translate the error, survive a panic,
	// decide who calls. The handler of a stream has a goroutine of its own below
	// the guard, where a panic has to be caught again.
	s := grpc.NewServer(
		grpc.Creds(admitted.Credentials(a.CA.ServerConfig(a.Now, a.certificates.CheckPrincipal))), grpc.InTapHandle(admitted.Tap),
		grpc.ConnectionTimeout(admission.HandshakeWithin), grpc.MaxHeaderListSize(maxHeader),
		grpc.ChainUnaryInterceptor(metrics.UnaryServerInterceptor(), admitted.AnswerUnary, a.ReportUnary, recovery.UnaryServerInterceptor(onPanic), a.Guard.Unary),
		grpc.ChainStreamInterceptor(metrics.StreamServerInterceptor(), admitted.AnswerStream, a.ReportStream, recovery.StreamServerInterceptor(onPanic), a.Guard.Stream,
			recovery.StreamServerInterceptor(onPanic)),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxAnswer), grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connWindow),
		grpc.ForceServerCodecV2(chunk.Codec{CodecV2: admitted.Codec()}),
		grpc.WaitForHandlers(true), // the catalog is closed after Stop
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second, MaxConnectionIdle: idleWithin}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	a.Register(s)
	healthgrpc.RegisterHealthServer(s, grpchealth.NewServer())
	metrics.InitializeMetrics(s)
	return s, guard.CheckMethods(s)
}
