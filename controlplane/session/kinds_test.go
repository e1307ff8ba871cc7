package session_test

import (
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/internal/subject"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestWhatABackupIsOfIsTakenAndAnAgentThatDoesNotSayMeansADump(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	silent, dump := aBackup(), aBackup(func(b *pgharborv1.Backup) { b.Kind, b.Subject = "logical", "database" })
	newer := aBackup(func(b *pgharborv1.Backup) {
		b.Kind, b.Subject, b.Database, b.DependsOn = "base", "instance", "", []string{dump.GetId()}
	})
	for _, b := range []*pgharborv1.Backup{silent, dump, newer} {
		a.report(t, runFinished(aRun(), b))
	}
	for id, want := range map[string]subject.Series{
		silent.GetId(): subject.LogicalOf("shop"), dump.GetId(): subject.LogicalOf("shop"),
		newer.GetId(): {Subject: subject.Instance(), Kind: subject.ReadKind("base")},
	} {
		b, err := cp.Catalog.Backups.Get(t.Context(), id)
		if err != nil || b.Series() != want || slices.Equal(b.Manifest.DependsOn, []string{dump.GetId()}) != (id == newer.GetId()) {
			t.Errorf("of %s, want %s; depends on %v, %v", b.Series(), want, b.Manifest.DependsOn, err)
		}
	}
}

func TestABackupThatContradictsItselfIsRefused(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	for name, bad := range map[string]func(*pgharborv1.Backup){
		"a whole instance with a database": func(b *pgharborv1.Backup) { b.Subject = "instance" },
		"a database without a name":        func(b *pgharborv1.Backup) { b.Subject, b.Database = "database", "" },
		"a kind that is no word":           func(b *pgharborv1.Backup) { b.Kind = "lo\x1b[2Jgical" },
		"a subject that is no word":        func(b *pgharborv1.Backup) { b.Subject = "'; --" },
	} {
		b := aBackup(bad)
		a.report(t, runFinished(aRun(), b))
		a.send(t, inventory("x", b))
		a.allTaken(t)
		if len(cp.backups(t, "db1")) != 0 {
			t.Fatalf("%s is in the catalog", name)
		}
	}
}
