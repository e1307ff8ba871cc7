package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
)

func (c *command) newHold() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "hold FILE|ID",
		Short: "Keep a backup from retention until it is released on this host",
		Long: `Hold keeps a stored backup, whatever its age. As it was set on this host, the
control plane can't end it, unless the policy of this host says so: pgharbor-agent
release does.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.onStored(args[0], "is held", func(a *agent, id string) error { return a.runner.Holds.HoldHere(id, thisUser(), reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who look at it later")
	return cmd
}

func (c *command) newRelease() *cobra.Command {
	return &cobra.Command{
		Use:   "release FILE|ID",
		Short: "End the hold of a backup, wherever it was set: retention may remove it again",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.onStored(args[0], "is no longer held", func(a *agent, id string) error { return a.runner.Holds.ReleaseHere(id) })
		},
	}
}

// onStored does something to a stored backup, and reports what it is then.
func (c *command) onStored(what, is string, do func(a *agent, id string) error) (err error) {
	a, err := openAgent(c, toBackUp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	id, err := a.idOf(what)
	if err == nil {
		err = do(a, id)
	}
	if errors.Is(err, backup.ErrNotFound) {
		err = withHint(err, "it is neither a file nor the id of a backup in BACKUP_DIR")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "backup %s %s\n", id, is)
	return err
}

// idOf is the id of the backup whose file this is; what is no file is an id. A store that is no folder describes its
// backups by no path, and then only ids are known.
func (a *agent) idOf(what string) (string, error) {
	wanted, err := os.Stat(what)
	if err != nil {
		return what, nil //nolint:nilerr // then it is an id
	}
	inventory, unread := a.runner.Engine.Inventory()
	for _, stored := range inventory {
		if found, err := os.Stat(a.store.Describe(stored.Location)); err == nil && os.SameFile(wanted, found) {
			return stored.ID, nil
		}
	}
	return "", errors.Join(fmt.Errorf("%w: %s", backup.ErrNotFound, oneLine(what)), unread)
}

// thisUser is the user who runs the program, as a hold names them.
func thisUser() string {
	name := strconv.Itoa(os.Geteuid())
	if found, err := user.Current(); err == nil {
		name = cmp.Or(found.Username, name)
	}
	return "host:" + name
}
