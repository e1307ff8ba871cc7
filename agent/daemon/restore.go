package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/shell"
)

// restoreFlags are what a restore by hand is asked for with.
type restoreFlags struct {
	target, confirm  string
	replace, preview bool
	withRoles        string // as in backup.RestoreRequest
	consent          job.Consent
	trustContent     bool   // as in backup.RestoreRequest
	from             string // the instance that the file is said to be of
}

func (f restoreFlags) request(file foundFile) backup.RestoreRequest {
	return backup.RestoreRequest{From: local.File(file.path), Manifest: file.manifest, Target: f.target, Replace: f.replace, WithRoles: f.withRoles,
		TrustContent: f.trustContent}
}

func (c *command) newRestore() *cobra.Command {
	var (
		flags  restoreFlags
		roles  rolesFlags
		origin originFlags
	)
	cmd := &cobra.Command{
		Use:   "restore FILE --to-database NAME --confirm NAME [--replace | --preview]",
		Short: "Restore a file into a database, with or without a control plane",
		Long: `Restore looks ahead and verifies the whole file first, fills a fresh database,
counts its rows, and gives it the name NAME at the very end. NAME must not exist,
unless --replace is given: then the database that has it is moved aside in the same
step and kept, and pgharbor-agent undo puts it back. Whatever goes wrong, what was
there stays in service and nothing else is left behind.

What an agent of yours made is restored as it was: its manifest has the signature
of this agent, of one in the file trusted-keys of the state folder, or the proof
that its maker had one of your passphrases. On a host of a fleet that proof counts
for this host's own backups, and for those of the instance that --from-instance or
the host's policy names: every host that shares the passphrase could have made it.
Any other file is loaded as a role of
its own that has the new database and nothing else, so that nothing it holds can
get at the rest of the host.

Code in the dump, such as a check that calls a function, runs with the rights of
the role that owns the table and no others. What can't be loaded so is named;
--trust-content loads it with all the rights of the agent, as pg_restore does.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.withRoles, flags.consent, flags.from = roles.word(), origin.consent(), origin.from
			if flags.preview {
				return c.preview(cmd.Context(), args[0], flags)
			}
			if err := c.confirm(flags); err != nil {
				return err
			}
			return c.restore(cmd.Context(), args[0], flags)
		},
	}
	cmd.Flags().StringVar(&flags.target, "to-database", "", "the database to make")
	cmd.Flags().StringVar(&flags.confirm, "confirm", "", "the same name again")
	cmd.Flags().BoolVar(&flags.replace, "replace", false, "take the place of the database that has the name, which is kept")
	cmd.Flags().BoolVar(&flags.preview, "preview", false, "only run the preflight: a line each, OK, WARN or FAILED with what to do")
	cmd.Flags().BoolVar(&roles.missing, "with-roles", false, "make the roles first that are kept with the backup and missing here, without superuser attributes")
	cmd.Flags().BoolVar(&roles.superuser, "with-superuser-roles", false, "the same, with superuser attributes")
	cmd.Flags().StringVar(&origin.from, "from-instance", "", "the instance that the file is of, if another one made it and only the passphrase shows that")
	cmd.Flags().BoolVar(&origin.unsigned, "unsigned", false, "restore a file of unknown origin, sandboxed, also with a psql that is known to be vulnerable")
	cmd.Flags().BoolVar(&origin.trust, "trust-origin", false, "restore a file of unknown origin as your own, with all the rights of the agent: you know who made it")
	cmd.Flags().BoolVar(&flags.trustContent, "trust-content", false, "run the code in the dump with all the rights of the agent: you trust everybody who owned something in the database")
	return cmd
}

// rolesFlags say which roles a restore makes; the second includes the first.
type rolesFlags struct{ missing, superuser bool }

func (f rolesFlags) word() string {
	switch {
	case f.superuser:
		return backup.RolesSuperuser
	case f.missing:
		return backup.RolesMissing
	default:
		return ""
	}
}

// confirm wants the target's name twice, the second time from the terminal if there is one.
func (c *command) confirm(flags restoreFlags) error {
	target, confirm := flags.target, flags.confirm
	if target == "" {
		return usageError(errors.New("--to-database is missing: the name of the database to make"))
	}
	if err := backup.CheckTarget(target); err != nil {
		return usageError(err)
	}
	if terminal := c.terminal(); confirm == "" && terminal != nil {
		does := "makes the database"
		if flags.replace {
			does = "replaces, if it exists, the database"
		}
		if flags.trustContent {
			does = "runs the code in the dump with all the rights of the agent, and " + does
		}
		fmt.Fprintf(c.Stderr, "This %s %s. Repeat its name to go on: ", does, oneLine(target))
		line, err := bufio.NewReader(terminal).ReadString('\n')
		if err != nil {
			return usageError(errors.New("nothing was confirmed"))
		}
		confirm = strings.TrimRight(line, "\r\n")
	}
	switch confirm {
	case target:
		return nil
	case "":
		return &exit.Problem{Err: errors.New("the confirmation is missing"), Code: exit.Usage, Hint: "add --confirm with the name of the database"}
	default:
		return &exit.Problem{
			Err:  fmt.Errorf("the confirmation %q is not the name %q", confirm, target),
			Code: exit.Usage, Hint: "--confirm repeats what --to-database says",
		}
	}
}

func (c *command) restore(ctx context.Context, path string, flags restoreFlags) (err error) {
	file, err := findFile(path)
	if err != nil {
		return err
	}
	purpose := toRestore
	if flags.replace {
		purpose = toReplace
	}
	a, err := openAgent(c, purpose)
	if err != nil {
		return err
	}
	a.fromInstance = flags.from
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.runner.Recovery.RecoverRestores(ctx); err != nil {
		c.log.Error("not all that an earlier run left could be taken up", "error", err)
	}
	if file.manifest == nil {
		c.log.Warn("the file has no manifest next to it: that it is what pg_dump wrote, only its end marker can say")
	}
	origin, err := a.originOf(file)
	var id string
	var roles, lacks []string
	if err == nil {
		request := flags.request(file)
		request.OnRoles = func(made []string) { roles = made }
		id, lacks, err = a.runner.Restorer.RestoreFile(ctx, request, origin, flags.consent)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	if len(roles) > 0 {
		fmt.Fprintf(c.Stdout, "made the roles %s\n", oneLine(strings.Join(roles, ", ")))
	}
	if err := c.tellRestored(a, id, path, flags.target); err != nil {
		return err
	}
	return c.tellLacks(lacks)
}

// tellLacks reports what the restored database lacks.
func (c *command) tellLacks(lacks []string) error {
	for _, what := range lacks {
		if _, err := fmt.Fprintf(c.Stdout, "it lacks something: %s\n", oneLine(what)); err != nil {
			return err
		}
	}
	return nil
}

// tellRestored reports what is where now.
func (c *command) tellRestored(a *agent, id, path, target string) error {
	displaced, err := a.state.Displaced.Of(id)
	if err != nil {
		return err
	}
	if displaced == nil {
		_, err = fmt.Fprintf(c.Stdout, "restored %s into the new database %s\n", oneLine(path), oneLine(target))
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "restored %s in the place of the database %s; the old one is kept as %s %s\n"+
		"to put it back: %s\n",
		oneLine(path), oneLine(target), oneLine(displaced.OldName), until(*displaced), shell.Command("pgharbor-agent undo %s --confirm %s", id, target))
	return err
}

// preview prints what stands in the way of a restore.
func (c *command) preview(ctx context.Context, path string, flags restoreFlags) (err error) {
	if flags.target == "" {
		return usageError(errors.New("--to-database is missing: the name of the database to make"))
	}
	file, err := findFile(path)
	if err != nil {
		return err
	}
	a, err := openAgent(c, toRestore)
	if err != nil {
		return err
	}
	a.fromInstance = flags.from
	defer func() { err = errors.Join(err, a.close()) }()
	origin, err := a.originOf(file)
	if err != nil {
		return err
	}
	failed := 0
	checks := a.runner.Restorer.Preview(ctx, flags.request(file), origin, flags.consent)
	for _, check := range checks {
		if check.Result == backup.CheckFailed {
			failed++
		}
		fmt.Fprintf(c.Stdout, "%-8s%s\n", check.Result, oneLine(check.String()))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed: the restore would not begin", failed, len(checks))
	}
	return ctx.Err()
}
