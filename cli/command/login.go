package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/cli/internal/logins"
	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func loginCommand(a *app) *cobra.Command {
	var device string
	cmd := a.printing(&cobra.Command{
		Use:   "login INVITE",
		Short: "Redeem an invite: this machine is you from then on",
		Long: `Login redeems an invite, once. The key is made on this machine and never leaves it,
and its certificate renews itself while you use it.

INVITE may be - to read it from standard input. --context keeps several logins apart;
the one that logged in last is used where no --context is given. --device is what this
machine is called in pgharbor users devices, and by default its host name.`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return redeem(ctx, a, args[0], device) }),
	})
	host, _ := os.Hostname() // one without a name may be called something else
	cmd.Flags().StringVar(&device, "device", host, "what you call this machine")
	return cmd
}

func redeem(ctx context.Context, a *app, invite, device string) error {
	if invite == "-" {
		line, err := bufio.NewReader(a.env.Stdin).ReadString('\n')
		if err != nil && line == "" {
			return fmt.Errorf("read the invite: %w", err)
		}
		invite = line
	}
	name := a.logins.Context
	if name == "" {
		name = logins.Default
	}
	dir, err := a.logins.Identity(name)
	if err != nil {
		return err
	}
	enrolling, cancel := context.WithTimeout(ctx, a.session.Timeout)
	defer cancel()
	identity, err := client.EnrollDevice(enrolling, dir, invite, device)
	if errors.Is(err, client.ErrAlreadyEnrolled) {
		return exit.Fail(exit.Failed, "the context %s is logged in already (%s)", name, dir).
			WithHint("keep both with: pgharbor login INVITE --context NAME")
	}
	if err != nil {
		return err
	}
	if err := a.logins.Use(name); err != nil {
		return err
	}
	conn, err := a.session.Dial(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	me, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
	if err != nil {
		return err
	}
	return a.out.Print(me, func() error {
		role := output.Name(me.GetRole())
		if len(me.GetInstances()) > 0 {
			role += " on " + scopeInWords(me.GetInstances())
		}
		_, err := fmt.Fprintf(a.out.Stdout, "Logged in to %s as %s (%s). The identity is in %s.\n",
			identity.Address(), output.Name(me.GetName()), role, dir)
		return err
	})
}
