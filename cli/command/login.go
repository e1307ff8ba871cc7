package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) loginCommand() *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "login INVITE",
		Short: "Redeem an invite: this machine is you from then on",
		Long: `Login redeems an invite, once. The key is made on this machine and never leaves it,
and its certificate renews itself while you use it.

INVITE may be - to read it from standard input. --context keeps several logins apart;
the one that logged in last is used where no --context is given.`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.login(ctx, args[0]) }),
	})
}

func (a *app) login(ctx context.Context, invite string) error {
	if invite == "-" {
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		if err != nil && line == "" {
			return fmt.Errorf("read the invite: %w", err)
		}
		invite = line
	}
	name := a.contextFlag
	if name == "" {
		name = defaultContext
	}
	dir, err := a.contextFolder(name)
	if err != nil {
		return err
	}
	enrolling, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	identity, err := client.Enroll(enrolling, dir, invite)
	if errors.Is(err, client.ErrAlreadyEnrolled) {
		return fail(exitFailed, "the context %s is logged in already (%s)", name, dir).
			withHint("keep both with: pgharbor login INVITE --context NAME")
	}
	if err != nil {
		return err
	}
	if err := a.useContext(name); err != nil {
		return err
	}
	conn, err := a.dialAs(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	me, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
	if err != nil {
		return err
	}
	return a.print(me, func() error {
		_, err := fmt.Fprintf(a.Stdout, "Logged in to %s as %s (%s). The identity is in %s.\n",
			identity.Address(), output.Name(me.GetName()), output.Name(me.GetRole()), dir)
		return err
	})
}
