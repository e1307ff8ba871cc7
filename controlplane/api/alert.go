package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type alertService struct {
	pgharborv1.UnimplementedAlertServiceServer
	*API
}

func (s *alertService) ListAlerts(ctx context.Context, _ *pgharborv1.ListAlertsRequest) (*pgharborv1.ListAlertsResponse, error) {
	alerts, err := s.Catalog.Alerts.List(ctx, guard.ListScope(ctx))
	if err != nil {
		return nil, err
	}
	response := &pgharborv1.ListAlertsResponse{Alerts: toProto(alerts, alertToProto)}
	for _, channel := range s.Notifier.Channels {
		response.Channels = append(response.Channels, channel.Name())
	}
	return response, nil
}

func alertToProto(a fleet.Alert) *pgharborv1.Alert {
	state := "firing"
	switch {
	case a.FiredAt.IsZero():
		state = "pending"
	case !a.ClearedAt.IsZero():
		state = "clearing"
	}
	return &pgharborv1.Alert{
		Instance: a.Instance, Database: a.Database, Verdict: string(a.Verdict), State: state,
		Text: a.Text, NextStep: a.NextStep, Since: stamp(a.Since), ToldAt: stamp(a.ToldAt),
	}
}

// TestAlerts is in the audit log: it sends something to people outside.
func (s *alertService) TestAlerts(ctx context.Context, _ *pgharborv1.TestAlertsRequest) (*pgharborv1.TestAlertsResponse, error) {
	if len(s.Notifier.Channels) == 0 {
		return nil, fleet.NewProblem(fleet.ErrConflict, "the control plane has no channel for alerts").
			WithHint("pgharbor-controlplane serve --alerts FILE; docs/alerts.md has an example")
	}
	caller := guard.CallerFrom(ctx).String()
	response := &pgharborv1.TestAlertsResponse{}
	err := s.Audit.Do(ctx, audit.Action{Actor: caller, Action: "alerts.test"}, func() error {
		for _, outcome := range s.Notifier.Test(ctx, caller) {
			test := &pgharborv1.ChannelTest{Channel: outcome.Channel}
			if outcome.Err != nil {
				test.Error = outcome.Err.Error()
			}
			response.Tests = append(response.Tests, test)
		}
		return nil
	})
	return response, err
}
