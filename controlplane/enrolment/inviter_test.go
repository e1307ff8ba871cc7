package enrolment_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/enrolment"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const fingerprint = "sha256:00000000000000000000000000000000000000000000000000000000000000ff"

var errFull = errors.New("no space")

// full is an audit log without room.
type full struct{}

func (full) Append(context.Context, chain.Entry) (int64, error)               { return 0, errFull }
func (full) Complete(context.Context, int64, string, string, time.Time) error { return errFull }

func inviter(t *testing.T) *enrolment.Inviter {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	clock := func() time.Time { return now }
	return &enrolment.Inviter{
		Catalog: c, Audit: &audit.Log{Store: c.AuditLog, Now: clock}, Now: clock, Address: "harbor:7402", Fingerprint: func() string { return fingerprint },
	}
}

func TestAnInviteSaysWhereAndWhomToTrustAndIsInTheAuditLog(t *testing.T) {
	n := inviter(t)
	for name, make := range map[string]func() (string, fleet.Invite, error){
		"host": func() (string, fleet.Invite, error) { return n.InviteFirstOwner(t.Context(), "olga", time.Hour) },
		"user:olga": func() (string, fleet.Invite, error) {
			maker := fleet.Caller{Kind: fleet.CallerUser, Name: "olga"}
			return n.Invite(t.Context(), maker, fleet.Invite{Kind: fleet.CallerAgent, Name: "db1"}, time.Hour)
		},
	} {
		word, made, err := make()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := pki.ParseInvite(word)
		if err != nil || parsed.Address != "harbor:7402" || parsed.Fingerprint != fingerprint {
			t.Errorf("%s: %+v, %v", name, parsed, err)
		}
		kept, err := n.Catalog.Invites.Get(t.Context(), pki.HashSecret(parsed.Secret))
		if err != nil || kept.CreatedBy != name || !kept.ExpiresAt.Equal(now.Add(time.Hour)) || kept.Name != made.Name {
			t.Errorf("%s: kept %+v, %v", name, kept, err)
		}
		entries, _, err := n.Catalog.AuditLog.List(t.Context(), catalog.AuditQuery{Actor: name})
		if err != nil || len(entries) != 2 || entries[0].Outcome != chain.OutcomeSucceeded || entries[1].Target != string(made.Kind)+":"+made.Name {
			t.Errorf("%s: the audit log says %+v, %v", name, entries, err)
		}
	}
}

func TestNoInviteWithoutItsEntryInTheAuditLog(t *testing.T) {
	n := inviter(t)
	n.Audit = &audit.Log{Store: full{}, Now: n.Now}
	if word, _, err := n.RecoverOwner(t.Context(), "olga"); !errors.Is(err, errFull) || word != "" {
		t.Errorf("got %q, %v", word, err)
	}
	if open, err := n.Catalog.Invites.Open(t.Context(), now); err != nil || len(open) != 0 {
		t.Errorf("it is kept: %v, %v", open, err)
	}
}

func TestAnInviteHoldsForAWeekAtMost(t *testing.T) {
	for life, good := range map[time.Duration]bool{0: false, -time.Hour: false, time.Second: true, 7 * 24 * time.Hour: true, 7*24*time.Hour + 1: false} {
		if err := enrolment.CheckInviteLife(life); (err == nil) != good || err != nil && !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%s: %v", life, err)
		}
	}
}
