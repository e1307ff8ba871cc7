// Package session keeps the agent connected to its control plane: it says what the agent holds,
// sends the journal until it is acknowledged, and hands offered jobs to the runner. A session that
// breaks is opened again, forever; the agent works without one.
package session

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/internal/pause"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// A failed session is followed by a pause within a window that doubles each
	// time; after one that was welcomed it begins small again.
	firstWindow = 2 * time.Second
	lastWindow  = time.Minute
	shortest    = time.Second
	// refusedWindow follows a refusal, which a person has to undo.
	refusedWindow = 5 * time.Minute

	welcomeTimeout = 30 * time.Second
	// stallTimeout ends a session whose control plane takes nothing.
	stallTimeout = 2 * time.Minute
)

// Session speaks for an agent's work. Its fields are set before Run.
type Session struct {
	Conn    grpc.ClientConnInterface
	Work    Work
	Version string // of the agent
	// Incarnation is random and the same for as long as the process lives; Host
	// names the machine. Both tell the control plane a second agent with the same
	// identity from this one.
	Incarnation string
	Host        string
	Timezone    string // that the schedule is read in
	Log         *slog.Logger
	Now         func() time.Time
	// Certificate, which may be nil, says when the agent's own certificate ends and
	// how long it was made for.
	Certificate func() (ends time.Time, life time.Duration)
	// AuditKey returns the key of a certificate that signs the control plane's audit log, if the
	// fleet's CA has issued it. Without it, the audit log is not witnessed.
	AuditKey func(certificate []byte, at time.Time) (crypto.PublicKey, error)
	// OnState, which may be nil, hears in a line the state of its session with the control plane
	// whenever that has changed.
	OnState func(line string)
	// OnServerTime, which may be nil, hears what time it is for the control plane.
	OnServerTime func(time.Time)
}

// Run holds a session, one after the other, until ctx ends. Jobs that it accepts
// live as long as ctx does; the runner waits for them.
func (s *Session) Run(ctx context.Context) {
	failures, warning := 0, warning{}
	for {
		welcomed, err := s.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if welcomed {
			failures = 0
		}
		now := s.Now()
		if warning.news(explain(err), welcomed, now) {
			s.Log.Warn(warning.text, "since", warning.since.UTC().Format(time.RFC3339))
		} else {
			s.Log.Debug(warning.text)
		}
		s.tell(fmt.Sprintf("since %s: %s", warning.since.UTC().Format(time.RFC3339), warning.text))
		if !pause.For(ctx, delay(failures, refused(err))) {
			return
		}
		failures++
	}
}

// warning is why there is no session, and since when.
type warning struct {
	text        string
	since, told time.Time
}

// tellAgain is how often the same warning is logged: anyone who looks at today's log is to find it
// there.
const tellAgain = time.Hour

// news takes a failed session in, and reports whether somebody must be told.
func (t *warning) news(text string, welcomed bool, now time.Time) bool {
	if welcomed || t.since.IsZero() {
		t.since = now
	}
	if text == t.text && now.Sub(t.told) < tellAgain {
		return false
	}
	t.text, t.told = text, now
	return true
}

// tell says in a line the state of its session with the control plane, for anyone who looks at the
// agent on its host.
func (s *Session) tell(line string) {
	if s.OnState != nil {
		s.OnState(line)
	}
}

// delay is a random time within the window of this many failures.
func delay(failures int, refused bool) time.Duration {
	window := lastWindow
	if failures < 5 {
		window = firstWindow << failures
	}
	if refused {
		window = refusedWindow
	}
	return shortest + rand.N(window-shortest) //nolint:gosec // it spreads agents in time, no more
}

// refused reports whether another attempt will end the same way, unless a person acts.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Aborted:
		return true
	default:
		return false
	}
}

// explain is the line that the log gets, the same for the same warning.
func explain(err error) string {
	text := "the session has ended; the agent works on and tries again: "
	var said *status.Status
	if st, ok := status.FromError(err); ok {
		said = st
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		text = "the control plane refuses this agent, its identity may be revoked; backups go on, and it is tried again now and then: "
	case codes.Aborted:
		text = "another agent runs with the same identity, is its state folder on a second host? backups go on, and it is tried again now and then: "
	case codes.Unavailable:
		text = "the control plane can't be reached; the agent works on and tries again: "
	}
	if said != nil && said.Message() != "" {
		return text + said.Message()
	}
	if errors.Is(err, io.EOF) {
		return text + "the control plane has closed it"
	}
	return text + err.Error()
}

// hold is one session, from its hello to its end, which always has a cause, and
// whether it was welcomed.
func (s *Session) hold(ctx context.Context) (welcomed bool, err error) {
	streamCtx, end := context.WithCancelCause(ctx)
	defer end(nil)
	stream, err := pgharborv1.NewSessionServiceClient(s.Conn).Connect(streamCtx)
	if err != nil {
		return false, err
	}
	c := &connection{
		agent: s, stream: stream, end: end,
		acked: make(chan struct{}, 1), inventoryWanted: make(chan struct{}, 1),
		open: map[string]bool{}, updated: map[string]job.JobProgress{},
	}
	interval, err := c.greet()
	if err != nil {
		return false, cause(streamCtx, err)
	}
	s.Log.Info("connected to the control plane", "heartbeat", interval)
	s.tell("connected to the control plane")
	var receiving sync.WaitGroup
	receiving.Go(func() { end(c.receive(ctx)) })
	if err = c.send(streamCtx, interval); !errors.Is(err, io.EOF) {
		end(err)
	}
	receiving.Wait()
	return true, cause(streamCtx, err)
}

// cause prefers the first reason for which a stream ended to the consequences.
func cause(ctx context.Context, err error) error {
	if first := context.Cause(ctx); first != nil {
		return first
	}
	return err
}

// connection is one session. One goroutine sends and one receives.
type connection struct {
	agent  *Session
	stream grpc.BidiStreamingClient[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]
	end    context.CancelCauseFunc

	acked           chan struct{} // holds one token after an acknowledgement
	inventoryWanted chan struct{} // holds one token once the control plane asked for it

	saidAgain atomic.Bool // the hello said that the audit log begins again, and no checkpoint came since

	mu       sync.Mutex
	open     map[string]bool // reports of this session; false: passed over, true: not acknowledged
	inFlight int

	// What follows belongs to the sender.
	queue      []string // entries of the journal that are still to be sent
	listed     bool     // there were entries that are newer than the inventory may be
	drained    bool     // the journal was sent once
	lastStatus *pgharborv1.AgentStatus
	updated    map[string]job.JobProgress
	updatedAt  time.Time // when progress was last told
}

// status is what the agent says of itself now.
func (s *Session) status() *pgharborv1.AgentStatus {
	status := statusOf(s.Work.Status.Last(), s.Timezone)
	if s.Certificate != nil {
		ends, life := s.Certificate()
		status.CertificateEndsAt, status.CertificateLife = timestamp(ends), durationpb.New(life)
	}
	return status
}

var errNoWelcome = errors.New("the control plane did not answer the hello")

// greet reports what the agent holds, and hears how often it must be heard from.
func (c *connection) greet() (heartbeat time.Duration, err error) {
	watchdog := time.AfterFunc(welcomeTimeout, func() { c.end(errNoWelcome) })
	defer watchdog.Stop()
	c.lastStatus = c.agent.status()
	hello := &pgharborv1.Hello{
		TrailHead:    c.heldCheckpoint(),
		AgentVersion: c.agent.Version, Status: c.lastStatus, InventoryDigest: c.agent.Work.Inventory.Current().Digest, Incarnation: c.agent.Incarnation, Host: c.agent.Host,
		SigningKey: c.agent.Work.SigningKey(),
	}
	for _, running := range c.agent.Work.Jobs.Jobs() {
		hello.RunningJobIds = append(hello.RunningJobIds, running.ID)
	}
	err = c.write(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Hello{Hello: hello}})
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	first, err := c.stream.Recv()
	if err != nil {
		return 0, err
	}
	welcome := first.GetWelcome()
	if welcome == nil {
		return 0, errors.New("the control plane does not begin with a welcome")
	}
	if c.agent.OnServerTime != nil && welcome.GetServerTime().IsValid() {
		c.agent.OnServerTime(welcome.GetServerTime().AsTime())
	}
	interval := welcome.GetHeartbeatInterval().AsDuration()
	return min(max(interval, time.Second), 5*time.Minute), nil
}

// write sends one message. It can block for as long as the control plane reads nothing, which ends
// the session. io.EOF means that the stream is broken; why, only Recv knows.
func (c *connection) write(message *pgharborv1.ConnectRequest) error {
	watchdog := time.AfterFunc(stallTimeout, func() {
		c.end(fmt.Errorf("the control plane took nothing for %s", stallTimeout))
	})
	defer watchdog.Stop()
	return c.stream.Send(message)
}
