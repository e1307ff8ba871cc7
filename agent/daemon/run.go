package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/state"
)

func (c *command) newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run as a service: the schedule, retention and, if enrolled, the control plane's jobs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.lookEvery <= 0 {
				return usageError(errors.New("--look-every is a duration over 0, such as 30s"))
			}
			return c.run(cmd.Context())
		},
	}
	cmd.Flags().DurationVar(&c.lookEvery, "look-every", job.LookEvery, "how often to look at the instance and the backup folder, for health")
	return cmd
}

// run serves until ctx ends, which is the orderly end.
func (c *command) run(ctx context.Context) (err error) {
	a, err := openAgent(c, toServe)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	release, err := a.state.Lock()
	if errors.Is(err, state.ErrRunning) {
		return withHint(err, "stop the other one, or give this one a --state-dir of its own")
	}
	if err != nil {
		return err
	}
	a.closers = append(a.closers, release)

	if err := a.runner.Recovery.Recover(ctx); err != nil {
		c.log.Error("not all that an earlier run left could be taken up", "error", err)
	}
	a.announce(c.Version)
	a.serve(ctx, c.Version)
	c.log.Info("stopped")
	return nil
}

// serve runs everything that runs for as long as the agent does, and waits for it.
func (a *agent) serve(ctx context.Context, version string) {
	a.runner.Status.Refresh(ctx) // so that the first hello has something to say
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.runner.Run(ctx)
	}()
	notify(a, daemon.SdNotifyReady)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.feedWatchdog(ctx)
	}()
	a.keepLinked(ctx, version)
	notify(a, daemon.SdNotifyStopping)
	<-done
	<-watched
	a.runner.Wait()
}

func (a *agent) announce(version string) {
	s := a.settings
	a.log.Info("pgharbor-agent starts", "version", version, "instance", a.runner.Engine.InstanceName, "connection", s.Connection,
		"folder", s.Dir, "retention_days", s.Policy.Days, "keep_last", s.Policy.KeepLast, "concurrency", s.Concurrency)
	if s.Enabled {
		a.log.Info("the schedule is on", "schedule", s.Schedule, "timezone", s.Timezone,
			"next", s.Schedule.Next(a.now()).In(s.Location).Format(time.RFC3339), "databases", databasesText(s.Databases))
	} else {
		a.log.Info("the schedule is off, because ENABLE_BACKUPS is not true; backups are made by hand only")
	}
	a.announcePolicy()
	for _, warning := range a.warnings {
		a.log.Warn(warning)
	}
}

func databasesText(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return fmt.Sprintf("%q", names)
}

// notify tells systemd, where it listens.
func notify(a *agent, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("systemd could not be notified", "error", err)
	}
}

// feedWatchdog tells systemd twice in each of its intervals that the agent lives:
// that it can still take the locks that all its work needs.
func (a *agent) feedWatchdog(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.runner.Responds()
			notify(a, daemon.SdNotifyWatchdog)
		}
	}
}
