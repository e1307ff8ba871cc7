package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/controlplane/client"
)

// enrolledEvery is how often an agent that is not enrolled looks whether it has
// become so.
const enrolledEvery = 5 * time.Second

// keepLinked keeps the session with the control plane until ctx ends. Without an
// identity it waits for one: the agent works alone.
func (a *agent) keepLinked(ctx context.Context, version string) {
	identity := a.awaitIdentity(ctx)
	if identity == nil {
		return
	}
	conn, err := identity.Dial()
	if err != nil {
		a.log.Error("the control plane can't be dialled; the agent works alone", "error", err)
		<-ctx.Done()
		return
	}
	a.log.Info("enrolled", "instance", identity.Name(), "control_plane", identity.Address())
	var renewing sync.WaitGroup
	renewing.Go(func() { identity.KeepRenewed(ctx, conn, a.log, a.now) })
	s := &session.Session{
		Conn: conn, Work: session.WorkOf(a.runner), Version: version, Timezone: a.settings.Timezone, Log: a.log, Now: a.now,
		OnServerTime: a.runner.Clock.Hear, AuditKey: identity.AuditKey, Incarnation: rand.Text(), Host: hostIdentity(),
		OnState: func(line string) { notify(a, "STATUS="+line) },
		// The last third of a certificate's life begins when it should be renewed.
		Certificate: func() (time.Time, time.Duration) {
			ends := identity.NotAfter()
			return ends, 3 * ends.Sub(identity.RenewAt())
		},
	}
	s.Run(ctx)
	renewing.Wait()
	a.runner.Wait() // what is being sent needs the connection
	if err := conn.Close(); err != nil {
		a.log.Warn("the connection did not close well", "error", err)
	}
}

// awaitIdentity returns the identity, or nil once ctx has ended. What is wrong
// with it is logged once.
func (a *agent) awaitIdentity(ctx context.Context) *client.Identity {
	logged := ""
	ticker := time.NewTicker(enrolledEvery)
	defer ticker.Stop()
	for {
		identity, err := client.Load(a.identityDir())
		switch {
		case err == nil:
			return identity
		case err.Error() == logged:
		case errors.Is(err, client.ErrNotEnrolled):
			a.log.Info("not enrolled with a control plane: the agent works alone", "hint", "pgharbor-agent enroll INVITE")
		default:
			a.log.Error("the identity can't be used: the agent works alone", "error", err,
				"hint", "remove the folder of the identity and enrol again with a new invite", "folder", a.identityDir())
		}
		if err != nil {
			logged = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
