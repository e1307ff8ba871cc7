package e2e

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestRestoreOutlivesItsCLI kills the command line in the middle of a restore, as a laptop that is
// closed does. The restore ends well anyway, shows its progress meanwhile, and is found in the
// list.
func TestRestoreOutlivesItsCLI(t *testing.T) {
	w := newWorld(t, programs(t))
	w.server.Exec(t, "postgres", "CREATE DATABASE shop")
	w.server.Exec(t, "shop", "CREATE TABLE goods AS SELECT i, repeat(md5(i::text), 20) AS text FROM generate_series(1, 30000) i")
	host := loopback(t)
	w.harbor(host+":7443", host+":7443")
	w.run("pgharbor", "backup", "shop-db")
	var listed struct{ Backups []struct{ ID string } }
	w.decode(&listed, "pgharbor", "list", "-o", "json")
	w.server.Exec(t, "shop", "TRUNCATE goods")
	// The moment of the exchange is held up until the command line is gone.
	release := w.hold("shop")

	cli := w.command("pgharbor", "restore", listed.Backups[0].ID, "--to-database", "shop", "--replace", "--confirm", "shop", "--reason", "drill")
	if err := cli.Start(); err != nil {
		t.Fatal(err)
	}
	type restores struct {
		Restores []struct {
			ID, State, Error string
			KeptDatabase     string `json:"kept_database"`
			Progress         struct {
				Phase        string
				TotalObjects string `json:"total_objects"`
			}
		}
	}
	list := func() (all restores) {
		w.decode(&all, "pgharbor", "restores", "-o", "json")
		return all
	}
	w.eventually("the restore is about to exchange the databases", func() bool {
		all := list().Restores
		return len(all) == 1 && all[0].Progress.Phase == "swap" && all[0].Progress.TotalObjects == "1"
	})
	if err := cli.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cli.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the command line ended by itself: %v", err)
	}
	release()
	w.eventually("the restore has ended", func() bool { return list().Restores[0].State != "running" })
	if ended := list().Restores[0]; ended.State != "succeeded" || ended.KeptDatabase != "shop_before_"+ended.ID {
		t.Errorf("it ended as %+v", ended)
	}
	if rows := w.server.Value(t, "shop", "SELECT count(*) FROM goods"); rows != "30000" {
		t.Errorf("the restored database has %s rows", rows)
	}
}

// hold keeps a database from being renamed, until release.
func (w *world) hold(database string) (release func()) {
	w.Helper()
	ctx := context.WithoutCancel(w.Context())
	conn, err := pgx.Connect(ctx, w.server.URL("postgres"))
	if err != nil {
		w.Fatal(err)
	}
	release = func() { _ = conn.Close(ctx) }
	w.Cleanup(release)
	if _, err := conn.Exec(ctx, "BEGIN; COMMENT ON DATABASE "+pgx.Identifier{database}.Sanitize()+" IS 'held'"); err != nil {
		w.Fatal(err)
	}
	return release
}
