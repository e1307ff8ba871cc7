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
)

func (c *command) newRestore() *cobra.Command {
	var (
		target, confirm string
		roles           rolesFlags
		origin          originFlags
	)
	cmd := &cobra.Command{
		Use:   "restore FILE --to-database NEW --confirm NEW",
		Short: "Restore a file into a new database, with or without a control plane",
		Long: `Restore verifies the whole file first, fills a fresh database, and gives it the
name NEW at the very end. NEW must not exist. Whatever goes wrong, nothing is
left behind.

What an agent of yours made is restored as it was: its manifest has the signature
of this agent, of one in the file trusted-keys of the state folder, or the proof
that its maker had one of your passphrases. Any other file is loaded as a role of
its own that has the new database and nothing else, so that nothing it holds can
get at the rest of the host.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.confirm(target, confirm); err != nil {
				return err
			}
			return c.restore(cmd.Context(), args[0], target, roles.word(), origin.consent())
		},
	}
	cmd.Flags().StringVar(&target, "to-database", "", "the database to make; it must not exist")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the same name again")
	cmd.Flags().BoolVar(&roles.missing, "with-roles", false, "make the roles first that are kept with the backup and missing here, without superuser attributes")
	cmd.Flags().BoolVar(&roles.superuser, "with-superuser-roles", false, "the same, with superuser attributes")
	cmd.Flags().BoolVar(&origin.unsigned, "unsigned", false, "restore a file of unknown origin, confined, also with a psql that is known to be vulnerable")
	cmd.Flags().BoolVar(&origin.trust, "trust-origin", false, "restore a file of unknown origin as your own, with all the rights of the agent: you know who made it")
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

// confirm wants the target's name twice, the second time from the terminal where
// there is one.
func (c *command) confirm(target, confirm string) error {
	if target == "" {
		return usageError(errors.New("--to-database is missing: the name of the database to make"))
	}
	if terminal := c.terminal(); confirm == "" && terminal != nil {
		fmt.Fprintf(c.Stderr, "This makes the database %s. Repeat its name to go on: ", oneLine(target))
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
		return problem{error: errors.New("the confirmation is missing"), code: exitUsage, hint: "add --confirm with the name of the new database"}
	default:
		return problem{
			error: fmt.Errorf("the confirmation %q is not the name %q", confirm, target),
			code:  exitUsage, hint: "--confirm repeats what --to-database says",
		}
	}
}

func (c *command) restore(ctx context.Context, path, target, withRoles string, consent job.Consent) (err error) {
	file, err := findFile(path)
	if err != nil {
		return err
	}
	a, err := openAgent(c, toRestore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.runner.RecoverRestores(ctx); err != nil {
		c.log.Error("not all that an earlier run left could be taken up", "error", err)
	}
	if file.manifest == nil {
		c.log.Warn("the file has no manifest beside it: that it is what pg_dump wrote, only its end marker can say")
	}
	origin, err := a.originOf(file)
	if err == nil {
		request := backup.RestoreRequest{Path: path, Manifest: file.manifest, Target: target, WithRoles: withRoles}
		err = a.runner.RestoreFile(ctx, request, origin, consent)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	_, err = fmt.Fprintf(c.Stdout, "restored %s into the new database %s\n", path, oneLine(target))
	return err
}
