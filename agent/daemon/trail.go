package daemon

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/state"
)

func (c *command) newTrail() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trail",
		Short: "Print the heads of the control plane's trail that this agent has seen, the newest last",
		Long: `Prints the heads of the control plane's trail that this agent has seen and keeps, the
newest last, as SEQUENCE:HASH. Each stands for the whole trail up to it:

  pgharbor audit verify --head SEQUENCE:HASH`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.showTrail() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "accept",
		Short: "Hold the control plane to the next head that it sends, and no longer to earlier ones",
		Long: `Holds the control plane to the next head that it sends, and no longer to earlier
ones: once it is understood why the trail is another one, such as a catalog that was
restored from an older copy. What was seen stays on record.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.acceptTrail() },
	})
	return cmd
}

func (c *command) witness() (*state.Witness, error) {
	if err := checkOwner(c.stateDir); err != nil {
		return nil, err
	}
	folder, err := state.Open(c.stateDir)
	if err != nil {
		return nil, withHint(err, "--state-dir or PGHARBOR_STATE_DIR names the folder of the agent")
	}
	return folder.Witness, nil
}

func (c *command) showTrail() error {
	witness, err := c.witness()
	if err != nil {
		return err
	}
	all, err := witness.Seen()
	if err != nil {
		return err
	}
	for _, seen := range all {
		at := seen.SeenAt.Format(time.RFC3339)
		switch {
		case seen.Accepted:
			fmt.Fprintf(c.Stdout, "%s  --- accepted: what follows begins anew\n", at)
		case seen.Refused:
			fmt.Fprintf(c.Stdout, "%s  %s  REFUSED: it contradicts the one before\n", at, seen.Head)
		default:
			fmt.Fprintf(c.Stdout, "%s  %s\n", at, seen.Head)
		}
	}
	if len(all) == 0 {
		c.log.Info("no head of a trail was seen yet")
	}
	return nil
}

func (c *command) acceptTrail() error {
	witness, err := c.witness()
	if err != nil {
		return err
	}
	if err := witness.Accept(c.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Stdout, "accepted: an agent that runs tells its control plane at its next heartbeat, another one when it next connects\n"+
		"once each agent that has seen the other trail has done so: pgharbor audit verify --accept")
	return err
}
