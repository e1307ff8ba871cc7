// Command pgharbor-controlplane keeps the catalog of a fleet of PostgreSQL
// instances, decides who may touch its backups, and says what is unhealthy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// version is set by the linker.
var version = "devel"

func main() {
	if err := harden(); err != nil {
		fmt.Fprintf(os.Stderr, "pgharbor-controlplane: %v\n", err)
		os.Exit(exit.Failed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand() //nolint:contextcheck // the commands take it from ExecuteContext
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exit.Done
	}
	hint := ""
	if problem := (*fleet.Problem)(nil); errors.As(err, &problem) {
		hint = problem.Hint
	}
	exit.Report(stderr, "pgharbor-controlplane", err.Error(), hint)
	if known := (*exit.Problem)(nil); errors.As(err, &known) {
		return known.Code
	}
	if errors.Is(err, fleet.ErrInvalid) {
		return exit.Usage
	}
	if errors.Is(err, fleet.ErrIntegrity) {
		return exit.Integrity
	}
	return exit.Failed
}
