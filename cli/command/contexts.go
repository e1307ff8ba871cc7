package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func (a *app) contextsCommand() *cobra.Command {
	return a.noun("contexts", "Your logins on this machine", a.contextsListCommand(), a.contextsUseCommand())
}

func (a *app) contextsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your logins; * marks the one in use",
		Args:  cobra.NoArgs,
		RunE:  a.run(func(context.Context, []string) error { return a.listContexts() }),
	}
}

func (a *app) listContexts() error {
	config, err := a.configFolder()
	if err != nil {
		return err
	}
	current, err := a.currentContext()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(config, contextsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list the contexts: %w", err)
	}
	table := output.NewTable("IN USE", "CONTEXT", "PERSON", "CONTROL PLANE", "CERTIFICATE ENDS")
	for _, entry := range entries {
		name := entry.Name()
		// What is being enrolled just now is hidden.
		if !contextForm.MatchString(name) {
			continue
		}
		mark := " "
		if name == current {
			mark = "*"
		}
		identity, err := client.Load(filepath.Join(config, contextsFolder, name))
		if err != nil {
			table.Add(mark, name, output.Line(err.Error()), "", "")
			continue
		}
		table.Add(mark, name, output.Name(identity.Name()), identity.Address(),
			identity.NotAfter().In(a.Now().Location()).Format("2006-01-02 15:04:05 MST"))
	}
	return table.Write(a.Stdout, "Not logged in anywhere.")
}

func (a *app) contextsUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Use this login from now on",
		Args:  cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			dir, err := a.contextFolder(args[0])
			if err != nil {
				return err
			}
			identity, err := client.Load(dir)
			if errors.Is(err, client.ErrNotEnrolled) {
				return exit.Fail(exit.NotFound, "there is no context %q", args[0]).WithHint("pgharbor contexts list")
			}
			if err != nil {
				return err
			}
			if err := a.useContext(args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "From now on you are %s at %s.\n", output.Name(identity.Name()), identity.Address())
			return err
		}),
	}
}
