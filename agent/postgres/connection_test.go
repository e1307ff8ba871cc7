package postgres_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// A stopped server's kernel still takes connections. A run that waits for it
// would keep its slot, and all runs after it, for ever.
func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	settings, err := postgres.SettingsFrom([]string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=u", "PGSSLMODE=disable"})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	instance.ConnectTimeout = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := instance.Databases(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the server was waited for until %v: %v", ctx.Err(), err)
	}
}
