// Package command is the command line of pgharbor: a file for each noun. What a command needs of its surroundings is
// handed to Run; nothing is global.
package command

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/logins"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/prompt"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/pause"
	"github.com/pgharbor/pgharbor/internal/usage"
)

const defaultTimeout = 30 * time.Second

// Env is what a command line gets from its process.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Now also gives the zone in which times are shown.
	Now     func() time.Time
	Version string
}

// app is one command line while it runs: what all commands share. A command is a function that takes the app, or only
// the part of it that it needs.
type app struct {
	env     Env
	out     *output.Printer
	prompt  *prompt.Prompter
	logins  *logins.Folder
	session *session.Session
	// started is set once the command line was understood: errors before that are about the command line.
	started bool
}

// Run runs one command line, without the program's name, and returns its exit code. Errors have been written to Stderr
// by then.
func Run(ctx context.Context, env Env, args []string) int {
	return newApp(env, pause.For).execute(ctx, args)
}

func newApp(env Env, pause func(context.Context, time.Duration) bool) *app {
	out := &output.Printer{Stdout: env.Stdout, Stderr: env.Stderr, Now: env.Now, Format: output.FormatTable}
	return &app{
		env: env, out: out,
		prompt:  &prompt.Prompter{Stdin: env.Stdin, Stderr: env.Stderr},
		logins:  &logins.Folder{Getenv: env.Getenv},
		session: &session.Session{Out: out, Pause: pause},
	}
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root() //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(args)
	root.SetIn(a.env.Stdin)
	root.SetOut(a.env.Stdout)
	root.SetErr(a.env.Stderr)
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
		Version:       a.env.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Long: `pgharbor lists, makes, downloads and restores the backups of a fleet of PostgreSQL
instances, through the control plane that an invite names.

Exit codes: 0 done, 1 failed, 2 wrong command line or confirmation, 3 not allowed or
not logged in, 4 no such thing, 5 unhealthy (health --exit-code), 6 integrity, 7 the
control plane or the agent can't be reached.`,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.logins.Path, "config", "", "folder of your identity (default $PGHARBOR_CONFIG, or pgharbor in the user's config folder)")
	flags.StringVar(&a.logins.Context, "context", "", "which of your logins to use (default: the one that logged in last)")
	flags.DurationVar(&a.session.Timeout, "timeout", defaultTimeout, "how long a single answer may take")
	root.AddCommand(
		loginCommand(a), logoutCommand(a), contextsCommand(a),
		listCommand(a), showCommand(a), backupCommand(a), downloadCommand(a),
		restoreCommand(a), undoCommand(a), restoresCommand(a), runsCommand(a),
		verifyCommand(a), holdCommand(a), releaseCommand(a),
		retentionCommand(a), healthCommand(a), thresholdsCommand(a), alertsCommand(a),
		agentsCommand(a), usersCommand(a), auditCommand(a),
		policiesCommand(a), approvalsCommand(a),
	)
	usage.NameMissing(root)
	return root
}

// run makes a cobra RunE of a command. When it is called, the command line has been parsed: errors from here on are no
// usage errors.
func (a *app) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return do(cmd.Context(), args)
	}
}

// connected is run with a connection to the control plane, which is closed afterwards.
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

// report writes the error as one line, with its hint as a second one, and returns its exit code.
func (a *app) report(cmd *cobra.Command, err error) int {
	p := a.session.Explain(err)
	if p.Text == "" {
		return p.Code
	}
	what := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " ")
	if what != "" {
		what += ": "
	}
	exit.Report(a.env.Stderr, "pgharbor", what+output.Line(p.Text), output.Line(p.Hint))
	return p.Code
}

// dial connects as the person of the current context, and renews the certificate if it is due.
func (a *app) dial(ctx context.Context) (*grpc.ClientConn, error) {
	dir, err := a.logins.CurrentIdentity()
	if err != nil {
		return nil, err
	}
	identity, err := client.Load(dir)
	if err != nil {
		return nil, err
	}
	return a.session.Dial(ctx, identity)
}
