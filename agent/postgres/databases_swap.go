package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// lockPatience bounds the wait for the lock of a database that is renamed, for instance while it is being copied.
	lockPatience = "10s"
	// swapAttempts is how often a swap is begun again that others were in the way of.
	swapAttempts  = 3
	commitTimeout = 30 * time.Second
	// endSessionsEvery is how often sessions are ended that stand in the way of a rename.
	endSessionsEvery = 50 * time.Millisecond
)

// Swap is an exchange of databases: Current gets the name Aside, and Next the name of Current.
type Swap struct {
	Current string // empty where nothing has the name any more: then Next gets Name and that is all
	Aside   string // must be free
	Next    string
	Name    string // that Next gets; Current's
	// CurrentOID and NextOID are the databases that are meant, where not empty: others that have the names by now are left
	// as they are.
	CurrentOID, NextOID string
	// Session is what the session calls itself that exchanges them, for EndWork; printable ASCII, up to 63 characters.
	Session string
	// Inherit gives Next first what Current has beside its content: owner, grants, settings, limit and comment.
	Inherit bool
}

// ErrOtherDatabase reports that a name is another database's than the one that was meant.
var ErrOtherDatabase = errors.New("another database has the name by now")

// SwapDatabases exchanges databases in one transaction, so that whatever strikes, all of it has happened or nothing. The
// first rename locks the database: from there to the commit nobody gets in, sessions that are there are ended, and who
// comes meanwhile waits and is then told to try again. Nothing has to be undone after a crash.
//
// An error may hide that the server had committed; who must know looks where the databases are, by DatabaseNames.
func (d *DatabaseAdmin) SwapDatabases(ctx context.Context, swap Swap) error {
	for _, name := range []string{swap.Name, swap.Next} {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	var err error
	for range swapAttempts {
		err = d.swap(ctx, swap)
		if state := SQLState(err); state != StateObjectInUse && state != StateLockNotAvailable {
			break
		}
	}
	return databaseError(err, swap.Name)
}

func (d *DatabaseAdmin) swap(ctx context.Context, swap Swap) error {
	conn, err := d.connection.administer(ctx, swap.Current, swap.Next)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := Run(ctx, conn, "SET application_name ="+QuoteLiteral(swap.Session), "BEGIN", "SET LOCAL lock_timeout = '"+lockPatience+"'"); err != nil {
		return err
	}
	if swap.Inherit && swap.Current != "" {
		if err := inherit(ctx, conn, swap.Current, swap.Next); err != nil {
			return err
		}
	}
	renames := []string{rename(swap.Next, swap.Name)}
	if swap.Current != "" {
		renames = []string{rename(swap.Current, swap.Aside), rename(swap.Next, swap.Name)}
	}
	if err := d.withoutSessions(ctx, []string{swap.Current, swap.Next}, func() error { return Run(ctx, conn, renames...) }); err != nil {
		return err
	}
	if err := swap.check(ctx, conn); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// From here on the end of ctx could only hide what happens.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	return Run(ctx, conn, "COMMIT")
}

// check makes sure, with the locks of the renames held, that the databases that were renamed are those that are meant.
func (s Swap) check(ctx context.Context, conn *Session) error {
	for name, oid := range map[string]string{s.Aside: s.CurrentOID, s.Name: s.NextOID} {
		if oid == "" {
			continue
		}
		rows, err := Ask(ctx, conn, "SELECT FROM pg_catalog.pg_database WHERE datname = $1 AND oid = $2", name, oid)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("%w: %q", ErrOtherDatabase, s.Name)
		}
	}
	return nil
}

// withoutSessions ends the sessions in some databases over and over, until do is done: a rename waits some seconds for
// them, while its lock lets no new ones in.
func (d *DatabaseAdmin) withoutSessions(ctx context.Context, databases []string, do func() error) error {
	conn, err := d.connection.administer(ctx, databases...)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	done := make(chan struct{})
	var ending sync.WaitGroup
	var refused error
	ending.Go(func() { refused = endSessionsUntil(ctx, conn, databases, done) })
	err = do()
	close(done)
	ending.Wait()
	if err != nil && refused != nil {
		return fmt.Errorf("%w (the sessions in it can't be ended: %w)", err, refused)
	}
	return err
}

func endSessionsUntil(ctx context.Context, conn *Session, databases []string, done <-chan struct{}) error {
	ticker := time.NewTicker(endSessionsEvery)
	defer ticker.Stop()
	var refused error
	for {
		for _, database := range databases {
			if _, err := Ask(ctx, conn, endSessions, database); err != nil && refused == nil {
				refused = err
			}
		}
		select {
		case <-done:
			return refused
		case <-ctx.Done():
			return refused
		case <-ticker.C:
		}
	}
}

// endWork ends the sessions that call themselves $1, and those whose statement names it, quoted: not those of another whose name
// begins so.
const endWork = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
	WHERE pid <> pg_catalog.pg_backend_pid()
		AND (application_name = $1::pg_catalog.text OR state = 'active' AND pg_catalog.strpos(query, '"' || $1::pg_catalog.text || '"') > 0)`

// EndWork ends what somebody who is gone may have left running that makes or renames databases, and returns when it has
// ended: from then on, what the server says of them stays true. The mark is the name of a database that nobody else
// mentions, or a Session of a Swap.
func (d *DatabaseAdmin) EndWork(ctx context.Context, mark string) error {
	ticker := time.NewTicker(endSessionsEvery)
	defer ticker.Stop()
	for {
		rows, err := d.connection.Query(ctx, endWork, mark)
		if err != nil || len(rows) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the work of %q has not ended yet: %w", mark, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
