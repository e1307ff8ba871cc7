package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type policyService struct {
	pgharborv1.UnimplementedPolicyServiceServer
	*API
	// changing is held from the look at what stands to its change, so that what
	// was approved of is what is changed.
	changing sync.Mutex
}

func (s *policyService) ListPolicies(ctx context.Context, _ *pgharborv1.ListPoliciesRequest) (*pgharborv1.ListPoliciesResponse, error) {
	policies, err := s.Catalog.Policies.List(ctx)
	if err != nil {
		return nil, err
	}
	if policies, err = s.heeded(ctx, policies, guard.ListScope(ctx)); err != nil {
		return nil, err
	}
	return &pgharborv1.ListPoliciesResponse{Policies: toProto(policies, policyToProto)}, nil
}

// heeded are the policies that apply to an instance in scope.
func (s *policyService) heeded(ctx context.Context, policies []fleet.Policy, scope fleet.Scope) ([]fleet.Policy, error) {
	if scope.Whole() {
		return policies, nil
	}
	agents, err := s.Catalog.Agents.List(ctx, scope)
	return slices.DeleteFunc(policies, func(p fleet.Policy) bool {
		return !slices.ContainsFunc(agents, func(a fleet.Agent) bool { return fleet.MatchGlob(p.Glob, a.Name) })
	}), err
}

func (s *policyService) SetPolicy(ctx context.Context, request *pgharborv1.SetPolicyRequest) (*pgharborv1.SetPolicyResponse, error) {
	next, err := policyFromProto(request)
	if err != nil {
		return nil, err
	}
	if err := next.Check(); err != nil {
		return nil, err
	}
	if len(next.RequireApproval) > 0 {
		// A fleet of one would be locked by it.
		anything := fleet.GuardedRequest{Action: fleet.ActionLoosenPolicy, Requester: guard.CallerFrom(ctx).Name}
		if err := s.Approvals.CheckDecider(ctx, anything); err != nil {
			return nil, err
		}
	}
	next.UpdatedBy, next.UpdatedAt = guard.CallerFrom(ctx).Name, s.Now().UTC()
	err = s.change(ctx, "policy.set", next, func() error { return s.Catalog.Policies.Set(ctx, next) })
	if err != nil {
		return nil, err
	}
	return &pgharborv1.SetPolicyResponse{Policy: policyToProto(next)}, nil
}

func (s *policyService) RemovePolicy(ctx context.Context, request *pgharborv1.RemovePolicyRequest) (*pgharborv1.RemovePolicyResponse, error) {
	removed, err := s.policy(ctx, request.GetGlob())
	if err == nil && removed.Glob == "" {
		err = fleet.NewProblem(fleet.ErrNotFound, "there is no policy for %q", request.GetGlob()).WithHint("pgharbor policies list")
	}
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, "policy.remove", fleet.Policy{Glob: removed.Glob}, func() error { return s.Catalog.Policies.Remove(ctx, removed.Glob) })
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RemovePolicyResponse{Policy: policyToProto(removed)}, nil
}

// change puts next in place of the policy with its glob. To ask for less where approvals are asked
// for takes an approval: nobody lifts alone a policy that holds them.
func (s *policyService) change(ctx context.Context, action string, next fleet.Policy, effect func() error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	before, err := s.policy(ctx, next.Glob)
	if err != nil {
		return err
	}
	if len(before.RequireApproval) > 0 && before.LoosenedBy(next) {
		_, err := s.Approvals.Pass(ctx, guard.CallerFrom(ctx), fleet.GuardedRequest{
			Action: fleet.ActionLoosenPolicy, Target: next.Glob,
			Details: []fleet.Detail{{Name: "from", Value: asked(before)}, {Name: "to", Value: asked(next)}},
		})
		if err != nil {
			return err
		}
	}
	return s.Audit.Do(ctx, audit.Action{
		Actor: guard.CallerFrom(ctx).String(), Action: action, Target: next.Glob, Detail: "from " + asked(before) + " to " + asked(next),
	}, effect)
}

// policy returns the policy with a glob, the zero Policy if there is none.
func (s *policyService) policy(ctx context.Context, glob string) (fleet.Policy, error) {
	policies, err := s.Catalog.Policies.List(ctx)
	if i := slices.IndexFunc(policies, func(p fleet.Policy) bool { return p.Glob == glob }); i >= 0 {
		return policies[i], err
	}
	return fleet.Policy{}, err
}

// asked is what a policy asks for, in a line.
func asked(p fleet.Policy) string {
	var parts []string
	if len(p.RequireApproval) > 0 {
		parts = append(parts, fmt.Sprintf("approval of %s within %s", joined(p.RequireApproval), p.Lifetime()))
	}
	if len(p.RequireReason) > 0 {
		parts = append(parts, "a reason for "+joined(p.RequireReason))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " and ")
}

func joined(actions []fleet.GuardedAction) string {
	return strings.Join(toProto(actions, func(a fleet.GuardedAction) string { return string(a) }), "+")
}

func policyFromProto(request *pgharborv1.SetPolicyRequest) (p fleet.Policy, err error) {
	p.Glob = request.GetGlob()
	if p.RequireApproval, err = policyActions(request.GetRequireApproval()); err != nil {
		return p, err
	}
	if request.GetApprovalTtl() != nil {
		p.ApprovalTTL = request.GetApprovalTtl().AsDuration()
	}
	p.RequireReason, err = policyActions(request.GetRequireReason())
	return p, err
}

// policyActions are the actions of a request, each once and in one order.
func policyActions(words []string) ([]fleet.GuardedAction, error) {
	actions := make([]fleet.GuardedAction, 0, len(words))
	for _, word := range words {
		action, err := fleet.PolicyAction(word)
		if err != nil {
			return nil, err
		}
		actions = append(actions, action)
	}
	slices.Sort(actions)
	return slices.Compact(actions), nil
}

func policyToProto(p fleet.Policy) *pgharborv1.Policy {
	word := func(a fleet.GuardedAction) string { return string(a) }
	policy := &pgharborv1.Policy{
		Glob: p.Glob, RequireApproval: toProto(p.RequireApproval, word), RequireReason: toProto(p.RequireReason, word),
		UpdatedBy: p.UpdatedBy, UpdatedAt: stamp(p.UpdatedAt),
	}
	if len(p.RequireApproval) > 0 {
		policy.ApprovalTtl = durationpb.New(p.Lifetime())
	}
	return policy
}
