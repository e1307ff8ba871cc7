package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
)

func (c *command) newRestore() *cobra.Command {
	var (
		target, confirm string
		roles           rolesFlags
	)
	cmd := &cobra.Command{
		Use:   "restore FILE --to-database NEW --confirm NEW",
		Short: "Restore a file into a new database, with or without a control plane",
		Long: `Restore verifies the whole file first, fills a fresh database, and gives it the
name NEW at the very end. NEW must not exist. Whatever goes wrong, nothing is
left behind.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.confirm(target, confirm); err != nil {
				return err
			}
			return c.restore(cmd.Context(), args[0], target, roles.word())
		},
	}
	cmd.Flags().StringVar(&target, "to-database", "", "the database to make; it must not exist")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the same name again")
	cmd.Flags().BoolVar(&roles.missing, "with-roles", false, "make the roles first that are kept with the backup and missing here, without superuser attributes")
	cmd.Flags().BoolVar(&roles.superuser, "with-superuser-roles", false, "the same, with superuser attributes")
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

func (c *command) restore(ctx context.Context, path, target, withRoles string) (err error) {
	manifest, err := readManifest(path)
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
	if manifest == nil {
		c.log.Warn("the file has no manifest beside it: that it is what pg_dump wrote, only its end marker can say")
	}
	err = a.runner.RestoreFile(ctx, backup.RestoreRequest{Path: path, Manifest: manifest, Target: target, WithRoles: withRoles})
	if err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	_, err = fmt.Fprintf(c.Stdout, "restored %s into the new database %s\n", path, oneLine(target))
	return err
}

// readManifest returns the manifest that stands beside a file; nil where there is
// none, as beside a file of the old script.
func readManifest(path string) (*backup.Manifest, error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, problem{error: err, code: exitNotFound}
	} else if err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, usageError(fmt.Errorf("%s is no file", path))
	}
	manifest, err := backup.ReadManifest(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &manifest, err
}
