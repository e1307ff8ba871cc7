package fleet

import (
	"slices"
	"strings"
	"time"
)

// How long an approval holds if no policy says, and what a policy may say.
const (
	DefaultApprovalTTL = time.Hour
	MinApprovalTTL     = time.Minute
	MaxApprovalTTL     = 7 * 24 * time.Hour

	maxGlob = 63 // bytes, as long as an instance's name may be
)

// Policy is what is asked of people before they touch the backups of the
// instances that its glob matches.
type Policy struct {
	Glob            string
	RequireApproval []GuardedAction
	RequireReason   []GuardedAction
	ApprovalTTL     time.Duration // zero: DefaultApprovalTTL
	UpdatedBy       string
	UpdatedAt       time.Time
}

// PolicyAction returns the action that a person names, in full or by its last word,
// or ErrInvalid.
func PolicyAction(word string) (GuardedAction, error) {
	for _, action := range PolicyActions {
		if _, last, _ := strings.Cut(string(action), "."); word == string(action) || word == last {
			return action, nil
		}
	}
	return "", NewProblem(ErrInvalid, "no policy is about %q", word).WithHint("use replace, download, retention, release or thresholds")
}

// Lifetime is how long an approval that the policy demands holds.
func (p Policy) Lifetime() time.Duration {
	if p.ApprovalTTL == 0 {
		return DefaultApprovalTTL
	}
	return p.ApprovalTTL
}

// validGlob reports whether a glob could match the name of an instance: it is made
// of what such a name may hold, and of the wildcards.
func validGlob(glob string) error {
	odd := strings.IndexFunc(glob, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-*?", r)
	})
	if glob == "" || len(glob) > maxGlob || odd >= 0 {
		return NewProblem(ErrInvalid, "the glob %q must be 1 to %d of a-z 0-9 . _ - with * for any number of characters and ? for one", glob, maxGlob).
			WithHint("'prod-*' matches every instance whose name begins with prod-, '*' matches all")
	}
	return nil
}

// Check refuses a policy that makes no sense.
func (p Policy) Check() error {
	if err := validGlob(p.Glob); err != nil {
		return err
	}
	switch {
	case len(p.RequireApproval)+len(p.RequireReason) == 0:
		return NewProblem(ErrInvalid, "the policy for %s would ask for nothing", p.Glob).
			WithHint("say what with --require-approval or --require-reason, or remove it: pgharbor policies remove -- %s", p.Glob)
	case slices.Contains(p.RequireReason, ActionThresholds):
		return NewProblem(ErrInvalid, "a change of thresholds takes no reason").WithHint("--require-approval thresholds makes it wait for another person")
	case p.ApprovalTTL != 0 && (p.ApprovalTTL < MinApprovalTTL || p.ApprovalTTL > MaxApprovalTTL):
		return NewProblem(ErrInvalid, "an approval holds for at least %s and at most %s, not %s", MinApprovalTTL, MaxApprovalTTL, p.ApprovalTTL)
	}
	return nil
}

// LoosenedBy reports whether next asks for less than p. What p never asked for
// can't be loosened; a zero next is the removal of p.
func (p Policy) LoosenedBy(next Policy) bool {
	lacks := func(before, after []GuardedAction) bool {
		return slices.ContainsFunc(before, func(a GuardedAction) bool { return !slices.Contains(after, a) })
	}
	return lacks(p.RequireApproval, next.RequireApproval) || lacks(p.RequireReason, next.RequireReason) ||
		len(p.RequireApproval) > 0 && next.Lifetime() > p.Lifetime()
}

// Demand is what all policies together ask for one request.
type Demand struct {
	Approval bool
	Reason   bool
	Lifetime time.Duration // of the approval: the shortest that a policy allows
}

// Demands returns what the policies ask for a request: of those that match, the
// union. What would get around the policies takes an approval as soon as any of
// them asks for any.
func Demands(policies []Policy, r GuardedRequest) Demand {
	guards := r.Action == ActionLoosenPolicy || r.Action == ActionEscalate || r.Action == ActionEnroll
	var d Demand
	for _, p := range policies {
		d.Reason = d.Reason || p.asks(p.RequireReason, r)
		if p.asks(p.RequireApproval, r) || guards && len(p.RequireApproval) > 0 {
			if !d.Approval || p.Lifetime() < d.Lifetime {
				d.Lifetime = p.Lifetime()
			}
			d.Approval = true
		}
	}
	return d
}

// asks reports whether a policy that names these actions is about the request.
func (p Policy) asks(of []GuardedAction, r GuardedRequest) bool {
	named := r.Action
	switch named {
	case ActionUndo:
		named = ActionReplace
	case ActionThresholds: // of a pattern of INSTANCE/DATABASE
		return GlobsMeet(p.Glob+"/*", r.Target) && slices.Contains(of, named)
	}
	return MatchGlob(p.Glob, r.Instance) && slices.Contains(of, named) ||
		r.Source != "" && MatchGlob(p.Glob, r.Source) && slices.Contains(of, ActionDownload)
}
