// Package session serves the agents that are connected. A session only carries
// notifications: jobs are rows of the catalog before an agent hears of them, results
// are rows before they are acknowledged, and nothing that matters is kept in
// memory here.
package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// ErrSuperseded ends a session whose agent has opened a newer one.
var ErrSuperseded = errors.New("a newer session of the same agent took over")

// ErrShutdown ends the sessions of a control plane that stops.
var ErrShutdown = errors.New("the control plane is shutting down")

// Registry knows which agents are connected and hands them their jobs. Its
// exported fields are set before use and not changed after.
type Registry struct {
	Catalog *catalog.Catalog
	Audit   *audit.Log
	// Checkpoints, which may be nil, signs the checkpoints of the audit log that agents are sent.
	Checkpoints   *audit.Checkpoints
	Notifications *Notifications
	Log           *slog.Logger
	Now           func() time.Time
	// Heartbeat is how often an agent must be heard from.
	Heartbeat time.Duration

	mu      sync.Mutex
	live    map[string]*session
	workers sync.WaitGroup
}

// Connected reports whether an instance's agent has a session.
func (r *Registry) Connected(instance string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[instance] != nil
}

// Count returns how many agents are connected.
func (r *Registry) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live)
}

// CheckReachable returns fleet.ErrNotFound for an instance that the fleet does
// not have and fleet.ErrUnreachable for one whose agent is away.
func (r *Registry) CheckReachable(ctx context.Context, instance string) error {
	agent, err := r.Catalog.Agents.Get(ctx, instance)
	switch {
	case err != nil:
		return err
	case !agent.RevokedAt.IsZero():
		return fleet.NewProblem(fleet.ErrConflict, "the agent of %s was revoked", instance).
			WithHint("pgharbor agents invite %s, and enrol it again", instance)
	case r.Connected(instance):
		return nil
	case agent.LastSeenAt.IsZero():
		return fleet.NewProblem(fleet.ErrUnreachable, "the agent of %s has never connected", instance).
			WithHint("run pgharbor-agent enroll and pgharbor-agent run on the instance's host")
	default:
		return fleet.NewProblem(fleet.ErrUnreachable, "the agent of %s is not connected; it was last heard of at %s",
			instance, agent.LastSeenAt.Format(time.RFC3339)).WithHint("look at pgharbor-agent on its host, then pgharbor agents list")
	}
}

// Submit stores a job and notifies its agent. A request id that the same person has used returns
// the job that it led to.
func (r *Registry) Submit(ctx context.Context, j fleet.Job) (fleet.Job, error) {
	j.CreatedAt = r.Now().UTC()
	j.Deadline = j.CreatedAt.Add(fleet.AcceptWithin)
	job, err := r.Catalog.Jobs.Create(ctx, j)
	if err != nil {
		return job, err
	}
	r.Notifications.Notify(AgentChannel(job.Instance))
	return job, nil
}

// CancelQueued ends what a person had asked for and no agent was told of yet. What an
// agent has begun goes on: it is its own to end.
func (r *Registry) CancelQueued(ctx context.Context, requestedBy, why string) error {
	cancelled, err := r.Catalog.Jobs.CancelQueued(ctx, requestedBy, why, r.Now().UTC())
	for _, id := range cancelled {
		r.Notifications.Notify(JobChannel(id))
	}
	return err
}

// ExpireJobs gives up jobs that nobody should wait for any longer, at every
// heartbeat interval, until ctx ends.
func (r *Registry) ExpireJobs(ctx context.Context) {
	ticker := time.NewTicker(r.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := r.expireJobs(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("overdue jobs could not be given up", "error", err)
		}
	}
}

func (r *Registry) expireJobs(ctx context.Context) error {
	now := r.Now().UTC()
	overdue, err := r.Catalog.Jobs.Overdue(ctx, now, now.Add(-fleet.SilentWithin))
	if err != nil {
		return err
	}
	for _, job := range overdue {
		reason := "the agent of " + job.Instance + " did not begin the job in time"
		if job.State == fleet.JobRunning {
			reason = "the agent of " + job.Instance + " has gone silent during the job"
		}
		if err := r.loseJob(ctx, job.Instance, job.ID, reason); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) loseJob(ctx context.Context, instance, id, reason string) error {
	now := r.Now().UTC()
	_, err := r.Catalog.Jobs.Finish(ctx, instance, id,
		fleet.JobResult{State: fleet.JobLost, Error: reason, Failure: fleet.FailureUnreachable, FinishedAt: now}, now)
	if err != nil {
		return err
	}
	r.Log.Warn("job lost", "job", id, "instance", instance, "reason", reason)
	r.Notifications.Notify(JobChannel(id))
	return nil
}

// Shutdown ends every session; their agents come back by themselves.
func (r *Registry) Shutdown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.live {
		s.end(ErrShutdown)
	}
}

// Wait returns when no session is served any longer.
func (r *Registry) Wait() { r.workers.Wait() }
