package guard

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// admit holds a request within its caller's scope, as the rule of its RPC says, and returns the
// instances that it is about. A refusal is written to the audit log.
func (g *Guard) admit(ctx context.Context, method string, caller fleet.Caller, request any) ([]string, error) {
	rule, _ := access.RuleFor(method)
	if len(rule.Scoping.Subjects) == 0 {
		return nil, g.denyOutside(ctx, method, caller, nil)
	}
	instances, err := g.instancesOf(ctx, method, caller, request)
	if errors.Is(err, fleet.ErrNotFound) && access.HasEverywhere(caller, rule.Permission) {
		return nil, nil // of what is not there, the RPC itself speaks best
	}
	if err != nil {
		return nil, err
	}
	return instances, g.denyOutside(ctx, method, caller, instances)
}

func (g *Guard) denyOutside(ctx context.Context, method string, caller fleet.Caller, instances []string) error {
	err := access.AllowOn(method, caller, instances...)
	if err == nil {
		return nil
	}
	var instance string
	if len(instances) > 0 {
		instance = instances[0]
	}
	return g.Deny(ctx, method, caller, instance, err)
}

// instancesOf returns the instances that a request is about. A field that is
// empty says nothing.
func (g *Guard) instancesOf(ctx context.Context, method string, caller fleet.Caller, request any) ([]string, error) {
	message, ok := request.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a request is a %T", request)
	}
	rule, _ := access.RuleFor(method)
	var instances []string
	for _, subject := range rule.Scoping.Subjects {
		fields := message.ProtoReflect()
		value := fields.Get(fields.Descriptor().Fields().ByName(protoreflect.Name(subject.Field))).String()
		if value == "" || rule.Scoping.Kind == access.ByFilter && fleet.IsGlob(value) {
			continue // a list has what is in scope alone, whatever a glob says
		}
		instance, err := g.instanceOf(ctx, subject.Names, value)
		if subject.Names != access.SubjectInstance {
			err = g.hideStrange(ctx, method, caller, thing{subject.Names, value, instance}, err)
		}
		if err != nil {
			return nil, err
		}
		instances = append(instances, instance)
	}
	return instances, nil
}

// thing is what an id names, and the instance that it belongs to.
type thing struct {
	kind         access.SubjectKind
	id, instance string
}

// hideStrange answers anyone who may not see the instance of a thing as if there were no such
// thing: an id tells strangers nothing, not even that it is one. Both ways are written to the audit
// log, so that neither takes longer than the other.
func (g *Guard) hideStrange(ctx context.Context, method string, caller fleet.Caller, t thing, lookup error) error {
	exists := lookup == nil
	switch {
	case !exists && !errors.Is(lookup, fleet.ErrNotFound):
		return lookup
	case exists && access.HasOn(caller, fleet.PermissionBackupList, t.instance):
		return nil
	}
	hidden := fleet.NewProblem(fleet.ErrNotFound, "there is no %s %q", t.kind, t.id)
	if access.HasEverywhere(caller, fleet.PermissionBackupList) || !fleet.ValidID(t.id) { // the audit log keeps no texts that name nothing
		return hidden
	}
	why := error(hidden)
	if exists {
		why = access.AllowOn(method, caller, t.instance)
	}
	return errors.Join(hidden, g.denied(ctx, method, caller, t.instance, why))
}

func (g *Guard) instanceOf(ctx context.Context, kind access.SubjectKind, value string) (string, error) {
	switch kind {
	case access.SubjectInstance:
		return value, nil
	case access.SubjectBackup:
		backup, err := g.Catalog.Backups.Get(ctx, value)
		return backup.Instance, err
	case access.SubjectJob:
		job, err := g.Catalog.Jobs.Get(ctx, value)
		return job.Instance, err
	case access.SubjectApproval:
		approval, err := g.Catalog.Approvals.Get(ctx, value)
		return approval.Request.Instance, err
	default:
		return "", fmt.Errorf("nobody knows to which instance a %s belongs", kind)
	}
}
