package daemon

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/state"
)

func (c *command) newAuditLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trail",
		Short: "Print the checkpoints of the control plane's audit log that this agent has seen, the newest last",
		Long: `Prints the checkpoints of the control plane's audit log that this agent has seen and keeps, the
newest last, as SEQUENCE:HASH. Each stands for the whole audit log up to it:

  pgharbor audit verify --head SEQUENCE:HASH`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.showAuditLog() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "accept",
		Short: "Hold the control plane to the next checkpoint that it sends, and no longer to earlier ones",
		Long: `Holds the control plane to the next checkpoint that it sends, and no longer to earlier
ones: once it is understood why the audit log is another one, such as a catalog that was
restored from an older copy. What was seen stays on record.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.acceptAuditLog() },
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

func (c *command) showAuditLog() error {
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
			fmt.Fprintf(c.Stdout, "%s  --- accepted: what follows begins again\n", at)
		case seen.Refused:
			fmt.Fprintf(c.Stdout, "%s  %s  REFUSED: it contradicts the one before\n", at, seen.Checkpoint)
		default:
			fmt.Fprintf(c.Stdout, "%s  %s\n", at, seen.Checkpoint)
		}
	}
	if len(all) == 0 {
		c.log.Info("no checkpoint of an audit log was seen yet")
	}
	return nil
}

func (c *command) acceptAuditLog() error {
	witness, err := c.witness()
	if err != nil {
		return err
	}
	if err := witness.Accept(c.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Stdout, "accepted: an agent that runs tells its control plane at its next heartbeat, another one when it next connects\n"+
		"once each agent that has seen the other audit log has done so: pgharbor audit verify --accept")
	return err
}
