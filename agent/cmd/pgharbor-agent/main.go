// Command pgharbor-agent backs up the PostgreSQL instance beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // BACKUP_TIMEZONE must work on a host without the tz database

	"github.com/pgharbor/pgharbor/agent/daemon"
)

// version is set by the linker.
var version = "devel"

func main() {
	if err := daemon.Harden(); err != nil {
		fmt.Fprintf(os.Stderr, "pgharbor-agent: %v\n", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	code := daemon.Main(ctx, daemon.Process{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: version, Now: time.Now,
	})
	stop()
	os.Exit(code)
}
