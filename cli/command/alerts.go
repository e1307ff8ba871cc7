package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func alertsCommand(a *app) *cobra.Command {
	return noun("alerts", "What people are told of, and over which channels", alertsListCommand(a), alertsTestCommand(a))
}

func alertsListCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List what is wrong, and since when people know",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			response, err := pgharborv1.NewAlertServiceClient(conn).ListAlerts(ctx, &pgharborv1.ListAlertsRequest{})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				channels := "none; see docs/alerts.md"
				if names := response.GetChannels(); len(names) > 0 {
					channels = output.Line(strings.Join(names, ", "))
				}
				if _, err := fmt.Fprintf(a.out.Stdout, "channels: %s\n", channels); err != nil {
					return err
				}
				return alertTable(response.GetAlerts(), a.out.Now()).Write(a.out.Stdout, "No alerts.")
			})
		}),
	})
}

func alertTable(alerts []*pgharborv1.Alert, now time.Time) *output.Table {
	table := output.NewTable("STATE", "VERDICT", "INSTANCE", "DATABASE", ">SINCE", ">TOLD", "WHY", "NEXT STEP")
	for _, alert := range alerts {
		table.Add(output.Name(alert.GetState()), output.Name(alert.GetVerdict()), output.Name(alert.GetInstance()), output.Name(alert.GetDatabase()),
			output.Age(alert.GetSince(), now), output.Age(alert.GetToldAt(), now),
			output.Short(alert.GetText(), errorWidth), output.Line(alert.GetNextStep()))
	}
	return table
}

func alertsTestCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "test",
		Short: "Send a test message over every channel of the control plane",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			response, err := pgharborv1.NewAlertServiceClient(conn).TestAlerts(ctx, &pgharborv1.TestAlertsRequest{})
			if err != nil {
				return err
			}
			var failed []string
			for _, test := range response.GetTests() {
				if test.GetError() != "" {
					failed = append(failed, output.Name(test.GetChannel()))
				}
			}
			if len(failed) > 0 && a.out.Format == output.FormatJSON {
				return &exit.Problem{Code: exit.Failed, Text: "the message was not taken by: " + strings.Join(failed, ", ")}
			}
			if err := a.out.Print(response, func() error { return showTests(a, response.GetTests()) }); err != nil {
				return err
			}
			if len(failed) > 0 {
				return &exit.Problem{Code: exit.Failed, Text: "the message was not taken by: " + strings.Join(failed, ", ")}
			}
			return nil
		}),
	})
}

func showTests(a *app, tests []*pgharborv1.ChannelTest) error {
	table := output.NewTable("CHANNEL", "RESULT")
	for _, test := range tests {
		result := "OK"
		if test.GetError() != "" {
			result = "FAILED: " + output.Line(test.GetError())
		}
		table.Add(output.Name(test.GetChannel()), result)
	}
	return table.Write(a.out.Stdout, "No channels.")
}
