package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
)

func contextsCommand(a *app) *cobra.Command {
	return noun("contexts", "Your logins on this machine", contextsListCommand(a), contextsUseCommand(a))
}

func contextsListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your logins; * marks the one in use",
		Args:  cobra.NoArgs,
		RunE:  a.run(func(context.Context, []string) error { return listContexts(a) }),
	}
}

func listContexts(a *app) error {
	current, err := a.logins.Current()
	if err != nil {
		return err
	}
	names, err := a.logins.Names()
	if err != nil {
		return err
	}
	table := output.NewTable("IN USE", "CONTEXT", "PERSON", "CONTROL PLANE", "CERTIFICATE ENDS")
	for _, name := range names {
		mark := " "
		if name == current {
			mark = "*"
		}
		dir, err := a.logins.Identity(name)
		if err != nil {
			return err
		}
		identity, err := client.Load(dir)
		if err != nil {
			table.Add(mark, name, output.Line(err.Error()), "", "")
			continue
		}
		table.Add(mark, name, output.Name(identity.Name()), identity.Address(),
			identity.NotAfter().In(a.out.Now().Location()).Format("2006-01-02 15:04:05 MST"))
	}
	return table.Write(a.out.Stdout, "Not logged in anywhere.")
}

func contextsUseCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Use this login from now on",
		Args:  cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			dir, err := a.logins.Identity(args[0])
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
			if err := a.logins.Use(args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out.Stdout, "From now on you are %s at %s.\n", output.Name(identity.Name()), identity.Address())
			return err
		}),
	}
}
