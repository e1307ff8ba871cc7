package catalog

import (
	"context"
	"database/sql"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Catalog is one store an aggregate, all over the same file. What is here itself
// concerns the file, its settings, or all aggregates at once. It is safe for
// concurrent use. Close it when done.
type Catalog struct {
	*shared

	Agents        Agents
	Alerts        Alerts
	Approvals     Approvals
	Backups       Backups
	Devices       Devices
	Identities    Identities
	Invites       Invites
	Jobs          Jobs
	Notifications Notifications
	Policies      Policies
	Restores      Restores
	Runs          Runs
	Thresholds    Thresholds
	AuditLog      AuditLog
	Users         Users
}

// The stores. Each is one pointer, and is passed by value.
type (
	// Agents keeps the agents, what each says of itself, and its signing key.
	Agents struct{ *shared }
	// Alerts keeps what people are told of, until it is over.
	Alerts struct{ *shared }
	// Approvals keeps what waits for a second person, and what one decided.
	Approvals struct{ *shared }
	// Backups keeps what agents report of their backups, and what speaks against one.
	Backups struct{ *shared }
	// Devices keeps the enrolments of people.
	Devices struct{ *shared }
	// Identities keeps every enrolment, with the CAs that its holder trusts.
	Identities struct{ *shared }
	// Invites keeps the invites, used and void ones too, and redeems them.
	Invites struct{ *shared }
	// Jobs keeps what agents are asked to do, and how it ended.
	Jobs struct{ *shared }
	// Notifications keeps the messages about alerts that were not delivered yet.
	Notifications struct{ *shared }
	// Policies keeps what needs an approval on which instances.
	Policies struct{ *shared }
	// Restores reads the jobs that restore, with what came of them.
	Restores struct{ *shared }
	// Runs keeps the attempts to back up.
	Runs struct{ *shared }
	// Thresholds keeps the limits that health goes by.
	Thresholds struct{ *shared }
	// AuditLog keeps the audit log: its entries, its seals, and the checkpoints that agents hold.
	AuditLog struct{ *shared }
	// Users keeps the people, with their roles, scopes and grants.
	Users struct{ *shared }
)

func newCatalog(db database, reports queue) *Catalog {
	s := &shared{db: db, reports: reports, share: fleet.DefaultShare}
	return &Catalog{
		shared: s,
		Agents: Agents{s}, Alerts: Alerts{s}, Approvals: Approvals{s}, Backups: Backups{s}, Devices: Devices{s},
		Identities: Identities{s}, Invites: Invites{s}, Jobs: Jobs{s}, Notifications: Notifications{s}, Policies: Policies{s},
		Restores: Restores{s}, Runs: Runs{s}, Thresholds: Thresholds{s}, AuditLog: AuditLog{s}, Users: Users{s},
	}
}

// shared is what all stores work with. A method of it is for more than one store.
type shared struct {
	db database
	// reports is where what agents say waits until people have been served.
	reports queue
	share   fleet.Share
}

// within runs one transaction: committed if f returns nil, otherwise undone. It goes before what
// agents report.
func (s *shared) within(ctx context.Context, f func(*sql.Tx) error) error {
	return s.db.people.within(ctx, f)
}

// reading runs f over one moment of the catalog, and keeps no writer from writing.
func (s *shared) reading(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it only reads
	return f(tx)
}
