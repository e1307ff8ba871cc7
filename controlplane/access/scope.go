package access

import (
	"slices"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Scoping says how an RPC is held within the scope of its caller. Package api
// does what it says before the RPC's own code runs, and a server whose table
// leaves it out for an RPC does not start.
type Scoping struct {
	Kind ScopingKind
	// Subjects are the fields of the request that say which instances it is
	// about.
	Subjects []Subject
}

// ScopingKind is one of the ways below; the zero kind is none.
type ScopingKind int

// The ways in which an RPC is held within a scope.
const (
	// ByNothing: it touches no instance.
	ByNothing ScopingKind = iota + 1
	// ByCertificate: an agent's, which may touch its own instance.
	ByCertificate
	// ByFleet: it takes the whole fleet.
	ByFleet
	// BySubject: every instance that the request is about must be in scope.
	BySubject
	// ByFilter: a list that shows what is in scope; an instance that the request
	// asks for must be.
	ByFilter
)

// Subject is a field of a request, by its proto name, and what it names.
type Subject struct {
	Names SubjectKind
	Field string
}

// SubjectKind is what a field names: an instance, or something that belongs to
// one.
type SubjectKind string

// The kinds of subject; package api finds the instance of each.
const (
	SubjectInstance SubjectKind = "instance"
	SubjectBackup   SubjectKind = "backup"
	SubjectJob      SubjectKind = "job" // a restore's id is its job's
	SubjectApproval SubjectKind = "approval"
)

var (
	byNothing     = Scoping{Kind: ByNothing}
	byCertificate = Scoping{Kind: ByCertificate}
	byFleet       = Scoping{Kind: ByFleet}
)

// about is the scoping of an RPC that acts on what its request names.
func about(subjects ...Subject) Scoping { return Scoping{Kind: BySubject, Subjects: subjects} }

// filtered is the scoping of a list that may be asked for one instance, if it has such a field.
func filtered(subjects ...Subject) Scoping { return Scoping{Kind: ByFilter, Subjects: subjects} }

func instance(field string) Subject { return Subject{SubjectInstance, field} }
func backup(field string) Subject   { return Subject{SubjectBackup, field} }
func job(field string) Subject      { return Subject{SubjectJob, field} }
func approval(field string) Subject { return Subject{SubjectApproval, field} }

// AllowOn decides whether a caller whom Allow lets pass may use an RPC on the
// instances that the request is about. The error wraps fleet.ErrDenied.
func AllowOn(method string, caller fleet.Caller, instances ...string) error {
	rule, named := RuleFor(method)
	if !named {
		return fleet.NewProblem(fleet.ErrDenied, "%s is not open to anybody", method)
	}
	switch rule.Scoping.Kind {
	case ByNothing, ByCertificate:
		return nil
	case ByFilter:
	case BySubject:
		if len(instances) == 0 && !HasEverywhere(caller, rule.Permission) {
			return fleet.NewProblem(fleet.ErrDenied, "%s may do this on %s, and the request names no instance", caller, reach(caller, rule.Permission))
		}
	default: // ByFleet
		if !HasEverywhere(caller, rule.Permission) {
			return fleet.NewProblem(fleet.ErrDenied, "%s takes the permission %s on the whole fleet, and %s has it on %s",
				method, rule.Permission, caller, reach(caller, rule.Permission))
		}
	}
	for _, instance := range instances {
		if err := allowAt(caller, rule.Permission, instance); err != nil {
			return err
		}
	}
	if rule.Egress != "" && slices.ContainsFunc(instances, func(i string) bool { return i != instances[0] }) {
		return allowAt(caller, rule.Egress, instances[0])
	}
	return nil
}

func allowAt(c fleet.Caller, p fleet.Permission, instance string) error {
	switch {
	case HasOn(c, p, instance):
		return nil
	case !Has(c, p):
		return lacks(c, p)
	default:
		return fleet.NewProblem(fleet.ErrDenied, "%s has the permission %s on %s, and %s is not in it", c, p, reach(c, p), instance).
			WithHint("an OWNER of the whole fleet can widen it: pgharbor users set, or users grant")
	}
}

// reach is where a caller has a permission, in words.
func reach(c fleet.Caller, p fleet.Permission) string {
	limits, _ := limits(c, p)
	words := ""
	for _, limit := range limits {
		switch {
		case limit.Whole():
		case words == "":
			words = limit.String()
		default:
			words += " within " + limit.String()
		}
	}
	if words == "" {
		return fleet.Scope(nil).String()
	}
	return words
}
