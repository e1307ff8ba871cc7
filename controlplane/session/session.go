package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// outboxSize bounds the acknowledgements that wait to be sent. When an agent
// reads too slowly, its reports are simply not read either.
const outboxSize = 64

type stream = grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]

// session is one connection of one agent. One goroutine sends, one receives;
// the fields below the line belong to the receiver alone.
type session struct {
	*Registry
	instance    string
	incarnation string // of the agent's process
	host        string // that it runs on, by its own word
	stream      stream
	end         context.CancelCauseFunc
	ended       <-chan struct{}
	outbox      chan *pgharborv1.ConnectResponse
	challenged  chan struct{} // holds one token once the agent is to show that it is alive

	// held are jobs that the agent said it works on, so they are not offered.
	held map[string]bool
	// toldCheckpoint is the checkpoint of the audit log that the agent was sent last; the sender's.
	toldCheckpoint chain.Checkpoint
	// ---
	// unheld are jobs that run by the catalog, but not by the agent's word.
	unheld         []string
	inventory      []fleet.Backup
	inventoryBytes int
	askedFor       string // the digest for which the inventory was asked for
	takenDigest    string
	keyWarning     string        // of the key that the agent signs with; "" if it is the one it is known by
	leftOut        []string      // of the agent's status
	refusal        fleet.Refusal // since it was told; its time is when that was
}

// Serve runs a session until the agent leaves, a newer session takes over or
// the stream's context ends; ErrDuplicate refuses it. The instance is the one of the certificate.
func (r *Registry) Serve(stream stream, instance string) error {
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return fleet.NewProblem(fleet.ErrInvalid, "a session begins with a hello")
	}
	ctx, end := context.WithCancelCause(stream.Context())
	defer end(nil)
	s := &session{
		Registry: r, instance: instance, stream: stream, end: end, ended: ctx.Done(),
		outbox: make(chan *pgharborv1.ConnectResponse, outboxSize), challenged: make(chan struct{}, 1), held: map[string]bool{},
	}
	if !s.hold(first) {
		return fleet.NewProblem(fleet.ErrInvalid, "the hello is refused: %s", s.refusal.Text)
	}
	s.incarnation, s.host = hello.GetIncarnation(), hello.GetHost()
	leave, err := r.admit(ctx, s)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.greet(ctx, hello); err != nil {
		return err
	}
	r.Log.Info("agent connected", "instance", instance, "version", hello.GetAgentVersion())

	// A blocked Send or Recv returns only once this handler has, so the two are
	// waited for by the registry and not here.
	r.workers.Go(func() { end(guarded(ctx, s.send)) })
	r.workers.Go(func() { end(guarded(ctx, s.receive)) })
	<-ctx.Done()
	cause := context.Cause(ctx)
	r.Log.Info("agent disconnected", "instance", instance, "cause", cause)
	if errors.Is(cause, io.EOF) {
		return nil
	}
	return cause
}

// guarded makes a panic the end of one session and not of the fleet.
func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// greet takes over what the agent says it holds, and answers it.
func (s *session) greet(ctx context.Context, hello *pgharborv1.Hello) error {
	now := s.Now().UTC()
	if err := s.takeKey(ctx, hello.GetSigningKey()); err != nil {
		return err
	}
	if err := s.takeStatus(ctx, hello.GetAgentVersion(), s.status(hello.GetStatus()), now); err != nil {
		return err
	}
	if err := s.tellRefused(ctx); err != nil {
		return err
	}
	agent, err := s.Catalog.Agents.Get(ctx, s.instance)
	if err != nil {
		return err
	}
	s.takenDigest = agent.InventoryDigest
	for _, id := range hello.GetRunningJobIds() {
		s.held[id] = true
	}
	running, err := s.Catalog.Jobs.Running(ctx, s.instance)
	if err != nil {
		return err
	}
	for _, id := range running {
		if !s.held[id] {
			s.unheld = append(s.unheld, id)
		}
	}
	s.outbox <- &pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Welcome{Welcome: &pgharborv1.Welcome{
		HeartbeatInterval: durationpb.New(s.Heartbeat), ServerTime: timestamppb.New(now),
	}}}
	s.wantInventory(hello.GetInventoryDigest())
	return s.takeCheckpoint(ctx, hello.GetTrailHead())
}

// send writes what is in the outbox, and offers due jobs at each notification.
func (s *session) send(ctx context.Context) error {
	if err := s.stream.Send(<-s.outbox); err != nil { // the welcome comes before any offer
		return err
	}
	notified, leave := s.Notifications.Listen(AgentChannel(s.instance))
	defer leave()
	s.Notifications.Notify(AgentChannel(s.instance)) // for jobs from before the session
	offered := map[string]bool{}
	checkpointDue := time.NewTicker(s.Heartbeat)
	defer checkpointDue.Stop()
	if err := s.sendCheckpoint(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case message := <-s.outbox:
			if err := s.stream.Send(message); err != nil {
				return err
			}
		case <-s.challenged:
			if err := s.stream.Send(inventoryRequest()); err != nil {
				return err
			}
		case <-notified:
			if err := s.offerDue(ctx, offered); err != nil {
				return err
			}
		case <-checkpointDue.C:
			if err := s.sendCheckpoint(ctx); err != nil {
				return err
			}
		}
	}
}

func (s *session) offerDue(ctx context.Context, offered map[string]bool) error {
	due, err := s.Catalog.Jobs.Due(ctx, s.instance, s.Now().UTC())
	if err != nil {
		return err
	}
	for _, job := range due {
		if offered[job.ID] || s.held[job.ID] {
			continue
		}
		offered[job.ID] = true
		err := s.checkTarget(ctx, job)
		if err == nil {
			err = s.Catalog.Jobs.RecordOffer(ctx, job.ID)
		}
		if errors.Is(err, fleet.ErrConflict) {
			continue // it was cancelled meanwhile, or is for an agent of earlier releases
		}
		if err != nil {
			return err
		}
		s.Notifications.Notify(JobChannel(job.ID))
		offer := offerOf(job)
		if err := s.addSource(ctx, job, offer.GetRestore()); err != nil {
			return err
		}
		if err := s.stream.Send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Offer{Offer: offer}}); err != nil {
			return err
		}
	}
	return nil
}

// reply puts a message in the outbox; it waits while the agent reads slowly.
func (s *session) reply(ctx context.Context, message *pgharborv1.ConnectResponse) error {
	select {
	case s.outbox <- message:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// silence is how long a session may go without a message before it is taken for dead, although its
// connection is open.
func (r *Registry) silence() time.Duration { return 2 * fleet.HeartbeatsMissed * r.Heartbeat }
