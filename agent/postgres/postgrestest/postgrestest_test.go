package postgrestest_test

import (
	"strconv"
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

// The third server of a process is written from memory; each has data of its own.
func TestServersShareNothing(t *testing.T) {
	var servers []*postgrestest.Server
	for range 4 {
		servers = append(servers, postgrestest.Start(t))
	}
	for n, server := range servers {
		server.Exec(t, "postgres", "CREATE TABLE t (n int); INSERT INTO t SELECT 1 FROM generate_series(0, "+strconv.Itoa(n)+")")
	}
	for n, server := range servers {
		if got, want := server.Value(t, "postgres", "SELECT count(*) FROM t"), strconv.Itoa(n+1); got != want {
			t.Errorf("server %d: count = %q, want %q", n, got, want)
		}
	}
}
