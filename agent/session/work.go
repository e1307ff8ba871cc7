package session

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// Work is what a session speaks for, part by part.
type Work struct {
	Jobs      Jobs
	Runs      Runs
	Inventory Inventory
	Journal   Journal
	Status    Status
	AuditLog  AuditLog
	// SigningKey is the public key with which the agent signs manifests; nil if it has none.
	SigningKey func() []byte
}

// Jobs does what the control plane asks for.
type Jobs interface {
	// Accept begins a job, unless it has been before, and does not wait for it.
	Accept(context.Context, job.Job)
	Jobs() []job.JobProgress
	// Changed holds one token once a job was accepted or has made progress.
	Changed() <-chan struct{}
}

// Runs are the backups that are being made.
type Runs interface{ Running() []state.Run }

// Inventory is the stored backups.
type Inventory interface {
	// Current may be some seconds old.
	Current() job.Inventory
	Fresh() job.Inventory
	// Changed holds one token once something has changed that no report tells.
	Changed() <-chan struct{}
	Tables(job.Backup) []scan.TableRows
}

// Journal is the news that is not acknowledged.
type Journal interface {
	// Changed holds one token once this process has added an entry.
	Changed() <-chan struct{}
	Pending() ([]string, error)
	Read(id string) (state.Entry, error)
	Ack(id string) error
}

// Status is what the agent says of itself.
type Status interface{ Last() job.Status }

// AuditLog holds checkpoints of the control plane's audit log.
type AuditLog interface {
	Hear(checkpoint chain.SignedCheckpoint, unsigned error)
	Checkpoint() (checkpoint *chain.SignedCheckpoint, again bool)
	// BeginsAgain reports whether another audit log was accepted and no checkpoint of it has come.
	BeginsAgain() bool
}

// WorkOf is the work of a runner.
func WorkOf(r *job.Runner) Work {
	return Work{
		Jobs: r.Queue, Runs: r.Runs, Inventory: r.Inventory, Journal: r.State.Journal, Status: r.Status, AuditLog: r.AuditLog, SigningKey: r.SigningKey,
	}
}
