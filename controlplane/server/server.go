// Package server puts the control plane together and runs it.
package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/admission"
)

const (
	// DefaultHeartbeat is how often an agent must be heard from.
	DefaultHeartbeat = 10 * time.Second
	// DefaultCertificateLife is that of agents' and people's certificates.
	DefaultCertificateLife = 30 * 24 * time.Hour

	maxMessage   = 4 << 20  // bytes; a manifest of a database with very many tables
	maxAnswer    = 64 << 20 // bytes; the health of a large fleet if all is wrong
	maxHeader    = 64 << 10 // bytes of a call's metadata
	maxStreams   = 256      // of one connection
	streamWindow = 1 << 20  // bytes in flight of one transfer
	connWindow   = 4 << 20
	drainWithin  = 5 * time.Second

	// idleWithin ends a connection without a call; anyone who has more to ask dials again, and sees
	// nothing of it.
	idleWithin = 15 * time.Minute

	drainHTTPWithin = time.Second
	readWithin      = 5 * time.Second
	answerWithin    = time.Minute // of HTTP; a scrape of a large fleet takes seconds
	maxHTTPHeader   = 16 << 10    // bytes
)

// Config is how a control plane runs.
type Config struct {
	DataDir         string
	Listen          string // gRPC, host:port
	HTTPListen      string // health and metrics, host:port; empty for none
	Heartbeat       time.Duration
	CertificateLife time.Duration
	AlertsFile      string // the channels over which people are told; empty for none
	// HeartbeatURL is called every HeartbeatURLEvery for as long as the control plane works; empty
	// for none.
	HeartbeatURL      string
	HeartbeatURLEvery time.Duration
	// Share is what one agent may hold, and Keep for how long what is over is kept;
	// the zero values are fleet's defaults.
	Share fleet.Share
	Keep  fleet.Keep
	Log   *slog.Logger
	Now   func() time.Time
	// Ready, if set, is told the addresses once both are open.
	Ready func(grpc, http net.Addr)
}

// Run serves until ctx ends, then lets calls under way finish, within
// drainWithin, and returns nil.
func Run(ctx context.Context, c Config) (err error) {
	if err := c.checkBounds(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, catalogFile)); errors.Is(err, fs.ErrNotExist) {
		return fleet.NewProblem(fleet.ErrNotFound, "%s holds no control plane", c.DataDir).
			WithHint("pgharbor-controlplane init --data-dir %s", c.DataDir)
	}
	unlock, err := lock(c.DataDir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := keepPrivate(c.DataDir, c.Log); err != nil {
		return err
	}
	ca, err := pki.LoadAuthorities(filepath.Join(c.DataDir, pkiFolder))
	if err != nil {
		return err
	}
	store, err := catalog.Open(ctx, filepath.Join(c.DataDir, catalogFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	store.SetShare(c.Share)
	// An audit log that can't be written is no reason to hide what the catalog knows.
	if ended, err := store.AuditLog.Reconcile(ctx, c.Now().UTC()); err != nil {
		c.Log.Error("what a broken-off control plane left open in the audit log could not be ended", "error", err)
	} else if ended > 0 {
		c.Log.Warn("ended in the audit log what was under way when the control plane broke off", "entries", ended)
	}
	if err := store.Approvals.Reconcile(ctx); err != nil {
		c.Log.Error("approvals of interrupted downloads could not be given back", "error", err)
	}
	a, err := assemble(ctx, c, ca, store)
	if err != nil {
		return err
	}
	defer inAuditLogWhileServing(ctx, a.API)()
	defer tellLastRepeats(ctx, c, a.Audit)
	return serve(ctx, c, a)
}

// inAuditLogWhileServing writes that the control plane serves; the returned function, that it has
// stopped. One that is killed has its entry ended by the next. An audit log that can't be written
// keeps nobody from reading.
func inAuditLogWhileServing(ctx context.Context, a *api.API) (stopped func()) {
	sequence, err := a.Audit.Begin(ctx, audit.Action{Actor: chain.ActorHost, Action: "controlplane.serve"})
	if err != nil {
		a.Log.Error("the control plane serves what can be read", "error", err)
		return func() {}
	}
	return func() {
		if err := a.Audit.End(ctx, sequence, "", nil); err != nil {
			a.Log.Error("the audit log does not say that the control plane has stopped", "error", err)
		}
	}
}

func serve(ctx context.Context, c Config, a *controlPlane) error {
	metrics := prometheus.NewRegistry()
	rpc := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	metrics.MustRegister(rpc, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&health.Collector{Evaluator: a.Evaluator, Log: c.Log, Connected: a.Sessions.Count, Transfers: a.Transfers.Count})
	limits, httpLimits := admission.Share(admission.Descriptors())
	controller := admission.New(limits, c.Now, metrics)
	grpcServer, err := newGRPC(a, controller, rpc)
	if err != nil {
		return err
	}
	defer grpcServer.Stop()
	grpcListener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = grpcListener.Close() }() // the server has closed it by then
	httpServer, status := newHTTP(c.Log), &api.Status{Catalog: a.Catalog, Evaluator: a.Evaluator, Log: c.Log}
	group, groupCtx := errgroup.WithContext(ctx)
	var httpAddress net.Addr
	if c.HTTPListen != "" {
		httpListener, err := net.Listen("tcp", c.HTTPListen)
		if err != nil {
			return err
		}
		httpAddress = httpListener.Addr()
		bounded := controller.HTTPListener(httpListener, httpLimits, c.Now)
		httpServer.Handler, httpServer.ConnState = bounded.Handler(status.Handler(metrics)), bounded.ConnState
		group.Go(func() error { return unlessClosed(httpServer.Serve(bounded)) })
	}
	group.Go(func() error { return unlessClosed(grpcServer.Serve(controller.Listen(grpcListener))) })
	group.Go(func() error { a.Sessions.ExpireJobs(groupCtx); return nil })
	watch(groupCtx, group, c, a.API)
	group.Go(func() error { a.Approvals.RunExpiry(groupCtx, a.Sessions.Heartbeat); return nil })
	group.Go(func() error { prune(groupCtx, c, a.API); return nil })
	group.Go(func() error { tellRepeats(groupCtx, a.API); return nil })
	group.Go(func() error {
		<-groupCtx.Done()
		return drain(context.WithoutCancel(groupCtx), c.Log, a.API, grpcServer, httpServer)
	})
	c.Log.Info("serving", "grpc", grpcListener.Addr().String(), "http", c.HTTPListen, "data_dir", c.DataDir, "ca", a.CA.Fingerprint())
	if c.Ready != nil {
		c.Ready(grpcListener.Addr(), httpAddress)
	}
	return group.Wait()
}

func newHTTP(log *slog.Logger) *http.Server {
	return &http.Server{
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: readWithin, ReadTimeout: readWithin, WriteTimeout: answerWithin, IdleTimeout: answerWithin, MaxHeaderBytes: maxHTTPHeader,
	}
}

// drain ends the sessions, lets calls under way finish for a while, and waits
// for every goroutine of a stream.
func drain(ctx context.Context, log *slog.Logger, a *api.API, grpcServer *grpc.Server, httpServer *http.Server) error {
	log.Info("shutting down")
	a.Sessions.Shutdown()
	deadline := time.AfterFunc(drainWithin, grpcServer.Stop)
	grpcServer.GracefulStop()
	deadline.Stop()
	ctx, cancel := context.WithTimeout(ctx, drainHTTPWithin)
	defer cancel()
	err := httpServer.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // a client that keeps its connection and asks nothing
		err = httpServer.Close()
	}
	a.Sessions.Wait()
	a.Wait()
	return err
}

func unlessClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}
