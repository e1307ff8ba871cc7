package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
)

// tamper is what somebody does who has the catalog's file: the triggers that keep the audit log
// append-only are no hindrance.
type tamper struct {
	*sql.DB
	t *testing.T
}

func (d tamper) do(statement string, args ...any) {
	d.t.Helper()
	if _, err := d.ExecContext(d.t.Context(), statement, args...); err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
}

// rehash gives every entry from one on a hash that fits.
func (d tamper) rehash(from int64) {
	d.t.Helper()
	var previous string
	err := d.QueryRowContext(d.t.Context(), `SELECT coalesce((SELECT hash FROM audit WHERE sequence = ?1), (SELECT hash FROM sealed WHERE sequence = ?1), '')`,
		from-1).Scan(&previous)
	if err != nil {
		d.t.Fatal(err)
	}
	for sequence := from; ; sequence++ {
		e, at := chain.Entry{Sequence: sequence}, int64(0)
		err := d.QueryRowContext(d.t.Context(), `SELECT at, actor, action, instance, target, reason, outcome, detail, completes FROM audit WHERE sequence = ?`,
			sequence).Scan(&at, &e.Actor, &e.Action, &e.Instance, &e.Target, &e.Reason, &e.Outcome, &e.Detail, &e.Completes)
		if errors.Is(err, sql.ErrNoRows) {
			return
		}
		if err != nil {
			d.t.Fatal(err)
		}
		e.At = time.UnixMicro(at)
		hash := e.Sum(previous)
		d.do(`UPDATE audit SET previous_hash = ?, hash = ? WHERE sequence = ?`, previous, hash, sequence)
		previous = hash
	}
}

// auditLogOnDisk makes a data folder whose audit log has n entries, and returns its checkpoint.
func auditLogOnDisk(t *testing.T, n int) (dir string, checkpoint chain.Checkpoint) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	if _, err := server.Init(t.Context(), server.InitOptions{DataDir: dir, Advertise: "127.0.0.1:7443", Owner: "owner", Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n - 2 { // Init has written two
		_, err := c.AuditLog.Append(t.Context(), chain.Entry{
			At: time.Now(), Actor: "user:a", Action: "b", Instance: "c", Target: "d", Reason: "e", Outcome: "succeeded", Detail: fmt.Sprint(i), Completes: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	checkpoint, err = c.AuditLog.Checkpoint(t.Context())
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, checkpoint
}

// behind opens the catalog's file behind the control plane's back.
func behind(t *testing.T, dir string) tamper {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := tamper{db, t}
	for _, trigger := range []string{"audit_no_update", "audit_no_delete", "audit_only_appended"} {
		d.do(`DROP TRIGGER ` + trigger)
	}
	return d
}

// trick is what is done to the audit log behind the control plane's back.
type trick struct {
	name  string
	do    func(tamper)
	entry int64
	kind  string
	// known: it takes a checkpoint that somebody has kept to see it.
	known bool
}

func tricks() []trick {
	tricks := []trick{
		{"drop", func(d tamper) { d.do(`DELETE FROM audit WHERE sequence = 5`) }, 5, "dropped or moved", false},
		{"drop the first", func(d tamper) { d.do(`DELETE FROM audit WHERE sequence = 1`) }, 1, "dropped or moved", false},
		{"drop and renumber", func(d tamper) {
			d.do(`DELETE FROM audit WHERE sequence = 5`)
			for n := 6; n <= 9; n++ {
				d.do(`UPDATE audit SET sequence = ? WHERE sequence = ?`, n-1, n)
			}
		}, 5, "dropped or moved", false},
		{"reorder", func(d tamper) {
			for _, move := range [][2]int{{4, -1}, {7, 4}, {-1, 7}} {
				d.do(`UPDATE audit SET sequence = ? WHERE sequence = ?`, move[1], move[0])
			}
		}, 4, "dropped or moved", false},
		{"move before the first", func(d tamper) { d.do(`UPDATE audit SET sequence = -3 WHERE sequence = 5`) }, 1, "dropped or moved", false},
		{"insert", func(d tamper) {
			d.do(`INSERT INTO audit SELECT 0, at, actor, action, instance, target, reason, outcome, detail, completes, '', hash FROM audit WHERE sequence = 5`)
		}, 1, "dropped or moved", false},
		{"edit with a new hash", func(d tamper) {
			d.do(`UPDATE audit SET reason = 'other' WHERE sequence = 5`)
			d.rehash(5)
			d.do(`UPDATE audit SET previous_hash = 'x' WHERE sequence = 6`)
			d.rehash(7)
		}, 6, "edited", false},
		{"cut off", func(d tamper) { d.do(`DELETE FROM audit WHERE sequence > 6`) }, 7, "cut off", true},
		{"empty", func(d tamper) { d.do(`DELETE FROM audit`) }, 1, "cut off", true},
		{"rewrite with new hashes", func(d tamper) {
			d.do(`UPDATE audit SET actor = 'user:b' WHERE sequence = 5`)
			d.rehash(5)
		}, 1, "rewritten", true},
		{"drop, renumber and rewrite, and add one", func(d tamper) {
			d.do(`DELETE FROM audit WHERE sequence = 5`)
			for n := 6; n <= 9; n++ {
				d.do(`UPDATE audit SET sequence = ? WHERE sequence = ?`, n-1, n)
			}
			d.do(`INSERT INTO audit SELECT 9, at, actor, action, instance, target, reason, outcome, detail, completes, '', '' FROM audit WHERE sequence = 8`)
			d.rehash(5)
		}, 1, "rewritten", true},
	}
	for _, column := range []string{"actor", "action", "instance", "target", "reason", "outcome", "detail", "hash", "previous_hash"} {
		tricks = append(tricks, trick{"edit " + column, func(d tamper) { d.do(`UPDATE audit SET ` + column + ` = 'forged' WHERE sequence = 5`) }, 5, "edited", false})
	}
	for _, column := range []string{"at", "completes"} {
		tricks = append(tricks, trick{"edit " + column, func(d tamper) { d.do(`UPDATE audit SET ` + column + ` = ` + column + ` + 1 WHERE sequence = 5`) }, 5, "edited", false})
	}
	return tricks
}

func TestTamperedCatalogIsNamedByItsFirstWrongEntry(t *testing.T) {
	for _, tt := range tricks() {
		t.Run(tt.name, func(t *testing.T) {
			dir, checkpoint := auditLogOnDisk(t, 9)
			if got, err := server.VerifyAudit(t.Context(), dir, checkpoint); err != nil || got != checkpoint {
				t.Fatalf("before: %v, %v", got, err)
			}
			tt.do(behind(t, dir))
			_, err := server.VerifyAudit(t.Context(), dir)
			if tt.known != (err == nil) {
				t.Errorf("without a head: %v", err)
			}
			_, err = server.VerifyAudit(t.Context(), dir, checkpoint)
			if !errors.Is(err, fleet.ErrIntegrity) || !names(err, tt.entry, tt.kind) {
				t.Errorf("got %v, want entry %d %s", err, tt.entry, tt.kind)
			}
		})
	}
}

// names reports whether an error is about an entry, and what has happened to it.
func names(err error, entry int64, kind string) bool {
	return regexp.MustCompile(fmt.Sprintf(`\b(?:entry|entries) %d\b`, entry)).MatchString(err.Error()) && strings.Contains(err.Error(), kind)
}

// An audit log can be verified while the control plane writes it.
func TestAuditLogIsVerifiedBesideTheControlPlane(t *testing.T) {
	dir, checkpoint := auditLogOnDisk(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c, err := catalog.Open(ctx, filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.AuditLog.Append(ctx, chain.Entry{At: time.Now(), Actor: "user:a", Action: "b"}); err != nil {
		t.Fatal(err)
	}
	got, err := server.VerifyAudit(ctx, dir, checkpoint)
	if err != nil || got.Sequence != 4 {
		t.Errorf("got %v, %v", got, err)
	}
}
