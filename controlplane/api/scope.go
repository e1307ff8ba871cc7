package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// admit holds a request within its caller's scope, as the rule of its RPC says,
// and returns the instances that it is about. A refusal is written to the trail.
func (a *API) admit(ctx context.Context, method string, caller fleet.Caller, request any) ([]string, error) {
	rule, _ := access.RuleFor(method)
	if len(rule.Scoping.Subjects) == 0 {
		return nil, a.denyOutside(ctx, method, caller, nil)
	}
	instances, err := a.instancesOf(ctx, method, caller, request)
	if errors.Is(err, fleet.ErrNotFound) && access.HasEverywhere(caller, rule.Permission) {
		return nil, nil // of what is not there, the RPC itself speaks best
	}
	if err != nil {
		return nil, err
	}
	return instances, a.denyOutside(ctx, method, caller, instances)
}

func (a *API) denyOutside(ctx context.Context, method string, caller fleet.Caller, instances []string) error {
	err := access.AllowOn(method, caller, instances...)
	if err == nil {
		return nil
	}
	var instance string
	if len(instances) > 0 {
		instance = instances[0]
	}
	return a.deny(ctx, method, caller, instance, err)
}

// instancesOf returns the instances that a request is about. A field that is
// empty says nothing.
func (a *API) instancesOf(ctx context.Context, method string, caller fleet.Caller, request any) ([]string, error) {
	message, ok := request.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a request is a %T", request)
	}
	rule, _ := access.RuleFor(method)
	var instances []string
	for _, subject := range rule.Scoping.Subjects {
		fields := message.ProtoReflect()
		value := fields.Get(fields.Descriptor().Fields().ByName(protoreflect.Name(subject.Field))).String()
		if value == "" {
			continue
		}
		instance, err := a.instanceOf(ctx, subject.Names, value)
		if subject.Names != access.SubjectInstance {
			err = a.hideStrange(ctx, method, caller, thing{subject.Names, value, instance}, err)
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

// hideStrange answers whoever may not see the instance of a thing as if there were
// no such thing: an id tells strangers nothing, not even that it is one. Both ways
// are written to the trail, so that neither takes longer than the other.
func (a *API) hideStrange(ctx context.Context, method string, caller fleet.Caller, t thing, lookup error) error {
	exists := lookup == nil
	switch {
	case !exists && !errors.Is(lookup, fleet.ErrNotFound):
		return lookup
	case exists && access.HasOn(caller, fleet.PermissionBackupList, t.instance):
		return nil
	}
	hidden := fleet.NewProblem(fleet.ErrNotFound, "there is no %s %q", t.kind, t.id)
	if access.HasEverywhere(caller, fleet.PermissionBackupList) || !fleet.ValidID(t.id) { // the trail keeps no texts that name nothing
		return hidden
	}
	why := error(hidden)
	if exists {
		why = access.AllowOn(method, caller, t.instance)
	}
	return errors.Join(hidden, a.denied(ctx, method, caller, t.instance, why))
}

func (a *API) instanceOf(ctx context.Context, kind access.SubjectKind, value string) (string, error) {
	switch kind {
	case access.SubjectInstance:
		return value, nil
	case access.SubjectBackup:
		backup, err := a.Catalog.Backups.Get(ctx, value)
		return backup.Instance, err
	case access.SubjectJob:
		job, err := a.Catalog.Jobs.Get(ctx, value)
		return job.Instance, err
	case access.SubjectApproval:
		approval, err := a.Catalog.Approvals.Get(ctx, value)
		return approval.Request.Instance, err
	default:
		return "", fmt.Errorf("nobody knows to which instance a %s belongs", kind)
	}
}

// listKey is the context key of whether a list was limited.
type listKey struct{}

// listScope is the scope that a list is to be limited to. A list that has not
// asked for it is not answered; see answerList.
func listScope(ctx context.Context) fleet.Scope {
	if limited, ok := ctx.Value(listKey{}).(*atomic.Bool); ok {
		limited.Store(true)
	}
	return callerFrom(ctx).Instances
}

// answerList runs the handler of a list and refuses its answer where it has not
// looked at the caller's scope.
func answerList(ctx context.Context, request any, method string, handler grpc.UnaryHandler) (any, error) {
	limited := &atomic.Bool{}
	response, err := handler(context.WithValue(ctx, listKey{}, limited), request)
	if err == nil && !limited.Load() {
		return nil, fmt.Errorf("%s lists without a look at the scope of its caller", method)
	}
	return response, err
}

// scopedStream admits the request of a stream when it arrives, and again
// whenever its caller has changed.
type scopedStream struct {
	grpc.ServerStream
	api    *API
	ctx    context.Context //nolint:containedctx // a stream is its context
	method string

	// limited says that the handler of a list has looked at the scope; nil where
	// the stream is none.
	limited *atomic.Bool

	mu        sync.Mutex
	caller    fleet.Caller
	instances []string
	arrived   bool
}

func newScopedStream(ctx context.Context, a *API, stream grpc.ServerStream, method string, caller fleet.Caller) *scopedStream {
	s := &scopedStream{ServerStream: stream, api: a, ctx: ctx, method: method, caller: caller}
	if rule, _ := access.RuleFor(method); rule.Scoping.Kind == access.ByFilter {
		s.limited = &atomic.Bool{}
		s.ctx = context.WithValue(ctx, listKey{}, s.limited)
	}
	return s
}

// SendMsg implements grpc.ServerStream.
func (s *scopedStream) SendMsg(message any) error {
	if s.limited != nil && !s.limited.Load() {
		return fmt.Errorf("%s lists without a look at the scope of its caller", s.method)
	}
	return s.ServerStream.SendMsg(message)
}

// Context implements grpc.ServerStream.
func (s *scopedStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *scopedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrived { // of an agent's stream only the first message could say more, and its certificate says it
		return nil
	}
	if err := checkBounds(s.method, message); err != nil {
		return err
	}
	instances, err := s.api.admit(s.ctx, s.method, s.caller, message)
	s.arrived, s.instances = true, instances
	return err
}

// changed says whether the stream may go on under the rights of this moment.
func (s *scopedStream) changed(caller fleet.Caller) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.caller
	s.caller = caller
	if s.limited != nil && !slices.Equal(before.Instances, caller.Instances) {
		return fleet.NewProblem(fleet.ErrUnreachable, "what %s may see has changed; ask again", caller)
	}
	if !s.arrived {
		return nil
	}
	return s.api.denyOutside(s.ctx, s.method, caller, s.instances)
}
