package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// maxPattern is longer than an instance and a database together.
const maxPattern = 400 // bytes

func (s *healthService) ListThresholds(ctx context.Context, _ *pgharborv1.ListThresholdsRequest) (*pgharborv1.ListThresholdsResponse, error) {
	rules, err := s.Catalog.Thresholds.List(ctx)
	if err != nil {
		return nil, err
	}
	if scope := guard.ListScope(ctx); !scope.Whole() {
		// What is evaluated by a rule is for those to see who see the status.
		agents, err := s.Catalog.Agents.List(ctx, scope)
		if err != nil {
			return nil, err
		}
		rules = slices.DeleteFunc(rules, func(rule fleet.ThresholdRule) bool { return !slices.ContainsFunc(agents, rule.Concerns) })
	}
	return &pgharborv1.ListThresholdsResponse{
		Thresholds: toProto(rules, thresholdToProto),
		Defaults:   thresholdToProto(fleet.ThresholdRule{Pattern: "*", Thresholds: fleet.DefaultThresholds}),
	}, nil
}

// SetThreshold is a change of policy: anyone who makes health blind to something is in the audit
// log with it.
func (s *healthService) SetThreshold(ctx context.Context, request *pgharborv1.SetThresholdRequest) (*pgharborv1.SetThresholdResponse, error) {
	rule, err := thresholdFrom(request.GetThreshold())
	if err != nil {
		return nil, err
	}
	if err := s.checkPattern(ctx, rule.Pattern); err != nil {
		return nil, err
	}
	rule.SetBy, rule.SetAt = guard.CallerFrom(ctx).String(), s.Now().UTC()
	err = s.changeThresholds(ctx, "threshold.set", rule, func() error { return s.Catalog.Thresholds.Set(ctx, rule) })
	if err != nil {
		return nil, err
	}
	return &pgharborv1.SetThresholdResponse{Threshold: thresholdToProto(rule)}, nil
}

// checkPattern refuses a pattern that can match nothing: one that names an instance alone, and one of an instance that
// there is not. The database may be one that is yet to be made.
func (s *healthService) checkPattern(ctx context.Context, pattern string) error {
	instance, _, slash := strings.Cut(pattern, "/")
	switch {
	case fleet.IsGlob(instance):
		return nil
	case !slash:
		return fleet.NewProblem(fleet.ErrInvalid, "the pattern %q matches no database: it is held against INSTANCE/DATABASE", pattern).
			WithHint("pgharbor thresholds set %s", pattern+"/*")
	default:
		return s.Catalog.Agents.CheckKnown(ctx, nil, instance, "")
	}
}

func (s *healthService) RemoveThreshold(ctx context.Context, request *pgharborv1.RemoveThresholdRequest) (*pgharborv1.RemoveThresholdResponse, error) {
	none := fleet.ThresholdRule{Pattern: request.GetPattern()}
	err := s.changeThresholds(ctx, "threshold.remove", none, func() error { return s.Catalog.Thresholds.Remove(ctx, none.Pattern) })
	return &pgharborv1.RemoveThresholdResponse{}, err
}

// changeThresholds puts next in place of the rule of its pattern. If a policy says so it waits for
// another person, whichever way it goes: laid over each other, what one rule loosens is hard to
// tell.
func (s *healthService) changeThresholds(ctx context.Context, action string, next fleet.ThresholdRule, effect func() error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	rules, err := s.Catalog.Thresholds.List(ctx)
	if err != nil {
		return err
	}
	stands := slices.IndexFunc(rules, func(r fleet.ThresholdRule) bool { return r.Pattern == next.Pattern })
	var before fleet.ThresholdRule
	if stands >= 0 {
		before = rules[stands]
	}
	if stands >= 0 || next.Thresholds != (fleet.Thresholds{}) { // nothing waits to be removed that is not there
		_, err := s.Approvals.Pass(ctx, guard.CallerFrom(ctx), fleet.GuardedRequest{
			Action: fleet.ActionThresholds, Target: next.Pattern,
			Details: []fleet.Detail{{Name: "from", Value: limits(before)}, {Name: "to", Value: limits(next)}},
		})
		if err != nil {
			return err
		}
	}
	return s.Audit.Do(ctx, audit.Action{
		Actor: guard.CallerFrom(ctx).String(), Action: action, Target: next.Pattern, Detail: "from " + limits(before) + " to " + limits(next),
	}, effect)
}

// limits are what a rule sets, in a line.
func limits(rule fleet.ThresholdRule) string {
	if rule.Thresholds == (fleet.Thresholds{}) {
		return "nothing"
	}
	return fmt.Sprintf("%+v", rule.Thresholds)
}

func thresholdFrom(t *pgharborv1.Threshold) (fleet.ThresholdRule, error) {
	rule := fleet.ThresholdRule{Pattern: t.GetPattern(), Thresholds: fleet.Thresholds{
		StaleAfter: t.GetStaleAfter().AsDuration(), SizePercent: int(t.GetSizePercent()), HangAfter: t.GetHangAfter().AsDuration(),
		MissedAfter: t.GetMissedAfter().AsDuration(), ClockOffset: t.GetClockOffset().AsDuration(),
		CertificateLeft: t.GetCertificateLeft().AsDuration(), TestRestoreWithin: t.GetProofWithin().AsDuration(),
		Encryption: t.GetEncryption(), Ignore: t.GetIgnore(),
	}}
	set := rule.Thresholds
	switch {
	case rule.Pattern == "" || len(rule.Pattern) > maxPattern:
		return rule, fleet.NewProblem(fleet.ErrInvalid, "a threshold needs a pattern of at most %d bytes", maxPattern).
			WithHint("the pattern is matched against instance/database: 'shop-db/*', '*/scratch', '*'")
	case min(set.StaleAfter, set.HangAfter, set.MissedAfter, set.ClockOffset, set.CertificateLeft, set.TestRestoreWithin) < 0 || set.SizePercent < 0:
		return rule, fleet.NewProblem(fleet.ErrInvalid, "a threshold below zero makes no sense")
	case set == fleet.Thresholds{}:
		return rule, fleet.NewProblem(fleet.ErrInvalid, "the thresholds for %q set nothing", rule.Pattern)
	}
	return rule, nil
}

func thresholdToProto(rule fleet.ThresholdRule) *pgharborv1.Threshold {
	t := rule.Thresholds
	return &pgharborv1.Threshold{
		Pattern: rule.Pattern, StaleAfter: span(t.StaleAfter), SizePercent: int32(t.SizePercent), HangAfter: span(t.HangAfter),
		MissedAfter: span(t.MissedAfter), ClockOffset: span(t.ClockOffset), CertificateLeft: span(t.CertificateLeft),
		ProofWithin: span(t.TestRestoreWithin), Encryption: t.Encryption, Ignore: t.Ignore, SetBy: rule.SetBy, SetAt: stamp(rule.SetAt),
	}
}

// span is a duration on the wire; zero is left out.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
