package backup_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// A transaction that a file leaves prepared outlives its session, holds back the vacuum of the whole server, and lets nobody drop
// the database: a restore that fails takes it along.
func TestAPreparedTransactionOfAFileGoesWithItsDatabase(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithSetting("max_prepared_transactions", "2"))
	config := configOn(t, server, newConfig(t))
	file := filepath.Join(t.TempDir(), "gift.sql")
	script := "CREATE TABLE t (a int);\nPREPARE TRANSACTION 'for ever';\nCREATE TABLE u (a int);" + dumpEnd
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(file), Target: "gift", RestoreID: "gift1", Sandboxed: true})
	if err == nil {
		t.Error("it is restored without what is prepared")
	}
	for what, sql := range map[string]string{
		"prepared transactions": "SELECT count(*) FROM pg_prepared_xacts",
		"databases":             "SELECT count(*) FROM pg_database WHERE datname ~ '^pgharbor|gift'",
		"roles":                 "SELECT count(*) FROM pg_roles WHERE rolname ~ '^pgharbor'",
	} {
		if got := server.Value(t, "postgres", sql); got != "0" {
			t.Errorf("%s %s are left: %v", got, what, err)
		}
	}
}
