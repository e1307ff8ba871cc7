package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/shell"
)

// defaultAddress is where the control plane serves agents and people, and what invites carry, if
// nobody says another.
const defaultAddress = "127.0.0.1:7443"

// usageError is for a command line that makes no sense.
func usageError(err error) error { return &exit.Problem{Err: err, Code: exit.Usage} }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "pgharbor-controlplane",
		Short:         "Keeps the catalog of a fleet of PostgreSQL instances and decides who may touch its backups",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(fmt.Errorf("say init, serve, audit or recover-owner; %s --help explains", cmd.CommandPath()))
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags()) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.AddCommand(initCommand(), serveCommand(), caCommand(), auditCommand(), recoverOwnerCommand())
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError(err)
	}
	return nil
}

// fromEnvironment gives every flag that was not set the value of PGHARBOR_<FLAG>, if there is one.
// An empty one is none, as for the agent: an empty address would be that of every interface.
func fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := "PGHARBOR_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := os.Getenv(variable)
		if f.Changed || value == "" || err != nil {
			return
		}
		if setErr := flags.Set(f.Name, value); setErr != nil {
			err = usageError(fmt.Errorf("%s: %w", variable, setErr))
		}
	})
	return err
}

func initCommand() *cobra.Command {
	o := server.InitOptions{Now: time.Now}
	var output string
	cmd := &cobra.Command{
		Use:   "init --data-dir DIR",
		Short: "Make the CA, the catalog and the first OWNER's invite",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usageError(fmt.Errorf("--output is text or json, not %q", output))
			}
			made, err := server.Init(cmd.Context(), o)
			if err != nil {
				return err
			}
			return printInitialised(cmd, o, made, output)
		},
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder of the CA and the catalog")
	cmd.Flags().StringVar(&o.Advertise, "advertise", defaultAddress, "address that invites carry, as agents and people reach it")
	cmd.Flags().StringVar(&o.Owner, "owner", "owner", "name of the first OWNER")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printInitialised(cmd *cobra.Command, o server.InitOptions, made server.Initialised, output string) error {
	out := cmd.OutOrStdout()
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(made)
	}
	_, err := fmt.Fprintf(out, `The control plane is made. Its CA: %s

  %s

Then %s, the first OWNER, logs in once, before %s:

  pgharbor login %s
`, made.CAFingerprint, serveLine(o), o.Owner, made.ExpiresAt.Format(time.RFC3339), made.Invite)
	return err
}

// serveLine is the command that serves at the address that invites carry. Without --listen it would
// serve where only this host gets to, and on another port than the one that was asked for.
func serveLine(o server.InitOptions) string {
	const command = "pgharbor-controlplane serve --data-dir %s"
	host, port, err := net.SplitHostPort(o.Advertise)
	switch {
	case err != nil || o.Advertise == defaultAddress:
		return shell.Command(command, o.DataDir)
	case host != "localhost" && !net.ParseIP(host).IsLoopback():
		host = "0.0.0.0"
	}
	return shell.Command(command+" --listen %s", o.DataDir, net.JoinHostPort(host, port))
}

func serveCommand() *cobra.Command {
	c := server.Config{Now: time.Now, Share: fleet.DefaultShare}
	var level slog.Level
	var days keptDays
	cmd := &cobra.Command{
		Use:   "serve --data-dir DIR",
		Short: "Serve agents and people until a signal comes",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.DataDir == "" {
				return usageError(fmt.Errorf("--data-dir is missing"))
			}
			if c.Heartbeat <= 0 || c.CertificateLife <= 0 || c.HeartbeatURLEvery <= 0 {
				return usageError(fmt.Errorf("--heartbeat, --certificate-life and --dead-mans-switch-every are durations over 0, such as 10s, 720h and 1m"))
			}
			c.Keep = days.keep()
			c.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return server.Run(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.DataDir, "data-dir", "", "folder that init made")
	cmd.Flags().StringVar(&c.Listen, "listen", defaultAddress, "address for agents and people (gRPC)")
	cmd.Flags().StringVar(&c.HTTPListen, "http-listen", "127.0.0.1:7480", "address for health and metrics (HTTP, no certificate asked for); empty for none")
	cmd.Flags().DurationVar(&c.Heartbeat, "heartbeat", server.DefaultHeartbeat, "how often agents report")
	cmd.Flags().DurationVar(&c.CertificateLife, "certificate-life", server.DefaultCertificateLife, "life of the certificates of agents and people")
	cmd.Flags().StringVar(&c.AlertsFile, "alerts", "", "file of the channels (webhooks, mail) over which people are told what is wrong")
	cmd.Flags().StringVar(&c.HeartbeatURL, "dead-mans-switch", "", "URL that is called for as long as the control plane does its work")
	cmd.Flags().DurationVar(&c.HeartbeatURLEvery, "dead-mans-switch-every", server.DefaultHeartbeatURLEvery, "how often it is called")
	boundFlags(cmd.Flags(), &c.Share, &days)
	cmd.Flags().TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return cmd
}
