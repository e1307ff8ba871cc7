package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/internal/pause"
)

const (
	// askAgain and askTimeout are for a server that went away at the moment of a swap.
	askAgain   = time.Second
	askTimeout = time.Minute
)

// Replacement is a database that took the place of another, or is about to. OIDs tell the two apart whatever they are
// called, as long as Server, the system identifier, is the server that is asked.
type Replacement struct {
	Server   string `json:"server"`
	Database string `json:"database"` // the name that both had
	OldOID   string `json:"old_oid"`  // of the database that was replaced
	OldName  string `json:"old_name"` // under which that one is kept
	NewOID   string `json:"new_oid"`  // of the restored one
	NewName  string `json:"new_name"` // under which that one is kept after an undo
}

// Swapper exchanges the names of databases.
type Swapper struct{ instance *postgres.Instance }

// session is what those who exchange the two call themselves on the server.
func (r Replacement) session() string { return "pgharbor_swap_" + r.OldOID + "_" + r.NewOID }

// ErrNotInPlace reports that the databases of a replacement are not where it left them.
var ErrNotInPlace = errors.New("the databases are not as the restore left them")

// Place says which database of a replacement is in service.
type Place int

// Places.
const (
	PlaceOther Place = iota // neither, or another server is asked
	PlaceOld                // the one that was, or is to be, replaced
	PlaceNew                // the restored one
)

// Stands is a look at the databases of a replacement.
type Stands struct {
	// Known: the server that was asked is the one of the replacement.
	Known bool
	Place Place
	// Old and New are the names that the two have now; empty where one is gone.
	Old, New string
}

// FindReplacement looks where the databases of a replacement are.
func (s *Swapper) FindReplacement(ctx context.Context, r Replacement) (Stands, error) {
	names, server, err := s.instance.DatabaseNames(ctx)
	if err != nil || server != r.Server {
		return Stands{}, err
	}
	stands := Stands{Known: true, Old: names[r.OldOID], New: names[r.NewOID]}
	switch r.Database {
	case stands.Old:
		stands.Place = PlaceOld
	case stands.New:
		stands.Place = PlaceNew
	}
	return stands, nil
}

// SettledReplacement is FindReplacement once no exchange of these databases is under way any more: what one that is gone
// has left running is ended first.
func (s *Swapper) SettledReplacement(ctx context.Context, r Replacement) (Stands, error) {
	if err := s.instance.EndWork(ctx, r.session()); err != nil {
		return Stands{}, err
	}
	return s.FindReplacement(ctx, r)
}

// replace gives the restored database the target's name, and the one that has it the name under which it is kept. It is
// false where no database has the target's name, and then nothing is done. before, which may be nil, hears what is about to
// replace what; its error leaves everything as it was.
func (s *Swapper) replace(ctx context.Context, temporary, target, restoreID string, before func(Replacement) error) (bool, error) {
	plan, err := s.planSwap(ctx, temporary, target, restoreID)
	if err != nil || plan == nil {
		return false, err
	}
	if before != nil {
		if err := before(*plan); err != nil {
			return false, err
		}
	}
	return true, s.certain(ctx, *plan, PlaceNew, s.instance.SwapDatabases(ctx, postgres.Swap{
		Current: plan.Database, Aside: plan.OldName, Next: temporary, Name: plan.Database, Session: plan.session(), Inherit: true,
		CurrentOID: plan.OldOID, NextOID: plan.NewOID,
	}))
}

// planSwap says what is about to be swapped; nil where no database has the target's name.
func (s *Swapper) planSwap(ctx context.Context, temporary, target, restoreID string) (*Replacement, error) {
	names, server, err := s.instance.DatabaseNames(ctx)
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for oid, name := range names {
		taken[name] = oid
	}
	if taken[target] == "" {
		return nil, nil
	}
	plan := &Replacement{
		Server: server, Database: target, OldOID: taken[target], NewOID: taken[temporary],
		OldName: besideName(target, "_before_"+restoreID), NewName: besideName(target, "_undone_"+restoreID),
	}
	switch {
	case taken[plan.OldName] != "":
		return nil, fmt.Errorf("there is a database %q already, under which name the old one would be kept", plan.OldName)
	case !utf8.ValidString(target):
		return nil, fmt.Errorf("the name of database %q is not UTF-8, so it can't be remembered which was replaced", target)
	}
	return plan, nil
}

// besideName is a name within PostgreSQL's bounds that ends with suffix, which makes it unique.
func besideName(name, suffix string) string {
	room := postgres.MaxName - len(suffix)
	for len(name) > room {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name + suffix
}

// Undo puts the database back that was replaced, and keeps the restored one under another name. Where the restored one is
// gone, the old one gets its name back. It is no error where the old one is in place.
func (s *Swapper) Undo(ctx context.Context, r Replacement) error {
	stands, err := s.FindReplacement(ctx, r)
	switch {
	case err != nil:
		return err
	case stands.Place == PlaceOld:
		return nil
	case stands.Old == "":
		return fmt.Errorf("%w: the database that was replaced, %q, is gone", ErrNotInPlace, r.OldName)
	}
	swap := postgres.Swap{Next: stands.Old, NextOID: r.OldOID, Name: r.Database, Session: r.session()}
	if stands.Place == PlaceNew {
		swap.Current, swap.CurrentOID, swap.Aside = r.Database, r.NewOID, r.NewName
	} else if exists, err := s.instance.DatabaseExists(ctx, r.Database); err != nil {
		return err
	} else if exists {
		return fmt.Errorf("%w: %q is not the database that the restore made; if a later restore replaced it, undo that one first", ErrNotInPlace, r.Database)
	}
	return s.certain(ctx, r, PlaceOld, s.instance.SwapDatabases(ctx, swap))
}

// certain turns the error of a swap whose end was not seen into what happened: the server may have committed and gone
// away. It asks for a minute, whatever has become of ctx.
func (s *Swapper) certain(ctx context.Context, r Replacement, want Place, err error) error {
	if err == nil || postgres.IsAnswer(err) {
		return err // the server itself says that it did not do it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	for {
		stands, askErr := s.SettledReplacement(ctx, r)
		if askErr == nil && stands.Place == want {
			return nil
		}
		if askErr == nil {
			return err
		}
		if !pause.For(ctx, askAgain) {
			return fmt.Errorf("%w; whether the databases were exchanged is not known while the server is away", err)
		}
	}
}
