package daemon

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/client"
)

func (c *command) newEnroll() *cobra.Command {
	return &cobra.Command{
		Use:   "enroll INVITE",
		Short: "Enrol with a control plane, by an invite that works once",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return c.enroll(cmd, args[0]) },
	}
}

func (c *command) enroll(cmd *cobra.Command, word string) error {
	if err := checkOwner(c.stateDir); err != nil {
		return err
	}
	if _, err := state.Open(c.stateDir); err != nil {
		return withHint(err, "--state-dir or PGHARBOR_STATE_DIR names a folder that this user may write to")
	}
	identity, err := client.EnrollAgent(cmd.Context(), identityDir(c.stateDir), word)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	if identity.Kind() != "agent" { // an older control plane does not refuse it
		err := errors.New("the invite was for a person, and an agent can't use it")
		return errors.Join(err, os.RemoveAll(identityDir(c.stateDir)))
	}
	_, err = fmt.Fprintf(c.Stdout, "enrolled as %s at %s; the certificate is renewed by itself, and lasts until %s\n",
		identity.Name(), identity.Address(), identity.NotAfter().UTC().Format(time.RFC3339))
	return err
}
