// Package command is the command line of pgharbor: a file for each noun. What a
// command needs of its surroundings is handed to Run; nothing is global.
package command

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/usage"
)

const defaultTimeout = 30 * time.Second

// Env is what a command line runs in.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Now also gives the zone in which times are shown.
	Now     func() time.Time
	Version string
}

// app is one command line while it runs.
type app struct {
	Env
	// Flags that every command has.
	configFlag, contextFlag string
	timeout                 time.Duration
	format                  output.Format
	waitApproval            bool

	// address of the control plane, once it is known, for error texts.
	address string
	// started is set once the command line was understood: errors before that are
	// about the command line.
	started bool
	// pause waits for a time, or for the end of ctx.
	pause func(context.Context, time.Duration) error
}

// Run runs one command line, without the program's name, and returns its exit
// code. An error has been written to Stderr by then.
func Run(ctx context.Context, env Env, args []string) int {
	return (&app{Env: env, pause: pause}).execute(ctx, args)
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root() //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.Done
	}
	if !a.started {
		err = &exit.Problem{Code: exit.Usage, Text: err.Error(), Hint: cmd.CommandPath() + " --help"}
	}
	return a.report(cmd, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "pgharbor",
		Short:         "Backups of a fleet of PostgreSQL instances",
		Version:       a.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Long: `pgharbor lists, makes, downloads and restores the backups of a fleet of PostgreSQL
instances, through the control plane that an invite names.

Exit codes: 0 done, 1 failed, 2 wrong command line or confirmation, 3 not allowed or
not logged in, 4 no such thing, 5 unhealthy (health --exit-code), 6 integrity, 7 the
control plane or the agent can't be reached.`,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFlag, "config", "", "folder of your identity (default $PGHARBOR_CONFIG, or pgharbor in the user's config folder)")
	flags.StringVar(&a.contextFlag, "context", "", "which of your logins to use (default: the one that logged in last)")
	flags.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long a single answer may take")
	root.AddCommand(
		a.loginCommand(), a.contextsCommand(),
		a.listCommand(), a.showCommand(), a.backupCommand(), a.downloadCommand(),
		a.restoreCommand(), a.undoCommand(), a.restoresCommand(), a.runsCommand(),
		a.verifyCommand(), a.holdCommand(), a.releaseCommand(),
		a.retentionCommand(), a.healthCommand(), a.thresholdsCommand(), a.alertsCommand(),
		a.agentsCommand(), a.usersCommand(), a.auditCommand(),
		a.policiesCommand(), a.approvalsCommand(),
	)
	usage.NameMissing(root)
	return root
}

// run is a cobra command's RunE: from here on the command line is right.
func (a *app) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return do(cmd.Context(), args)
	}
}

// connected is run with a connection to the control plane.
func (a *app) connected(do func(ctx context.Context, conn *grpc.ClientConn, args []string) error) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, args []string) error {
		conn, err := a.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return do(ctx, conn, args)
	})
}

// noun is a command that only has commands below it.
func (a *app) noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	var names []string
	for _, verb := range verbs {
		names = append(names, verb.Name())
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("say which: %s", strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// printing gives a command the flag -o.
func (a *app) printing(cmd *cobra.Command) *cobra.Command {
	a.format = output.FormatTable
	cmd.Flags().VarP(&a.format, "format", "o", "how to print the result")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]string{string(output.FormatTable), string(output.FormatJSON)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// print writes the message as JSON where that was asked for, else calls asTable.
func (a *app) print(message proto.Message, asTable func() error) error {
	if a.format == output.FormatJSON {
		return output.JSON(a.Stdout, message)
	}
	return asTable()
}

// say writes a line for a person to standard error.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.Stderr, format+"\n", args...)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newRequestID makes a request that is sent twice one request.
func newRequestID() string { return strings.ToLower(rand.Text())[:16] }
