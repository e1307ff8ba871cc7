package postgrestest_test

import (
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func TestServerAnswers(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, `odd "name"`)
	server.Exec(t, `odd "name"`, "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 3)")
	if got := server.Value(t, `odd "name"`, "SELECT sum(n) FROM t"); got != "6" {
		t.Errorf("sum = %q, want 6", got)
	}
}

func TestServerSurvivesRestart(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithPassword("secret"))
	server.Exec(t, "postgres", "CREATE TABLE t (n int); CHECKPOINT")
	server.Stop()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := server.Value(t, "postgres", "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("count = %q, want 0", got)
	}
}
