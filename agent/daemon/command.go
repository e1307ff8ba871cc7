// Package daemon puts the agent together: its commands, its configuration and its
// life as a service.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/usage"
)

// Process is the world that a command runs in.
type Process struct {
	Args    []string // without the program's name
	Environ []string // as os.Environ returns it
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Version string
	Now     func() time.Time
}

// command is a Process with its flags and its log.
type command struct {
	Process
	environ  []string
	root     *cobra.Command
	log      *slog.Logger
	stateDir string
	// policyFile is where the host says what the control plane may ask for.
	policyFile string
	logLevel   string
	lookEvery  time.Duration // of a service; zero: as job.LookEvery says
	began      bool          // the command line was understood
}

// Main runs a command line until it ends or ctx does, and returns its exit code.
func Main(ctx context.Context, p Process) int {
	c := &command{Process: p, environ: p.Environ}
	c.root = c.newRoot() //nolint:contextcheck // the commands take it from ExecuteContext
	err := c.root.ExecuteContext(ctx)
	if err == nil {
		return exit.Done
	}
	var known *exit.Problem
	if !c.began && !errors.As(err, &known) {
		err = usageError(err)
	}
	report(p.Stderr, err)
	return exitCode(err)
}

func (c *command) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "pgharbor-agent",
		Short: "Backs up the PostgreSQL instance on its host",
		Long: `pgharbor-agent backs up the databases of one PostgreSQL instance: it dumps, seals,
keeps and removes by policy, and restores. It works alone; enrolled, it also
does so for a control plane.

How to reach the instance is read as psql reads it: DATABASE_URL, PGHOST, PGPORT,
PGUSER, PGPASSFILE and the like. ENABLE_BACKUPS, BACKUP_DIR, BACKUP_SCHEDULE and
the other BACKUP_ variables say what to do; every flag can be set as
PGHARBOR_<FLAG>, too.`,
		Version:           c.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: c.prepare,
	}
	root.SetArgs(c.Args)
	root.SetIn(c.Stdin)
	root.SetOut(c.Stdout)
	root.SetErr(c.Stderr)
	root.PersistentFlags().StringVar(&c.stateDir, "state-dir", defaultStateDir, "folder of the identity and the journal")
	root.PersistentFlags().StringVar(&c.policyFile, "policy-file", policy.DefaultPath, "file that says what the control plane may ask of this host; only root and this user may write to it")
	root.PersistentFlags().StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(c.newEnroll(), c.newRun(), c.newBackup(), c.newRestore(), c.newUndo(), c.newRestores(), c.newVerify(), c.newRuns(), c.newCheck(), c.newAuditLog(),
		c.newHold(), c.newRelease(), c.newUnmark())
	usage.NameMissing(root)
	return root
}

// prepare takes flags that were not given from the environment, and opens the log.
func (c *command) prepare(cmd *cobra.Command, _ []string) error {
	environment := map[string]string{}
	for _, entry := range c.environ {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = value
	}
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "PGHARBOR_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := environment[name]
		if f.Changed || value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		if setErr := cmd.Flags().Set(f.Name, value); setErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, setErr))
		}
	})
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q is not valid: it must be debug, info, warn or error", c.logLevel)
	}
	c.log = slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: logInFull}))
	c.began = true
	return nil
}

// logInFull gives errors the words of the server and the tools: the log stays on this host.
func logInFull(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok && postgres.Words(err) != "" {
		a.Value = slog.StringValue(err.Error() + ": " + postgres.Words(err))
	}
	return a
}

// stateDirGiven reports whether somebody chose the state folder.
func (c *command) stateDirGiven() bool { return c.root.PersistentFlags().Changed("state-dir") }

func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

// terminal is standard input, if that is a terminal.
func (c *command) terminal() *os.File {
	f, ok := c.Stdin.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return f
}
