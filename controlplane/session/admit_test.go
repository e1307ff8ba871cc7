package session_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// answers sends the inventory whenever it is asked for, as every agent does, and
// passes on what else comes.
func (a *agent) answers(t *testing.T) <-chan *pgharborv1.ConnectResponse {
	t.Helper()
	rest := make(chan *pgharborv1.ConnectResponse, 16)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(rest)
		for {
			m, err := a.stream.Recv()
			if err != nil {
				return
			}
			if m.GetInventoryRequest() == nil {
				rest <- m
			} else if err := a.stream.Send(inventory("")); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { a.end(); <-ended })
	return rest
}

// refusals are the entries of the audit log about second agents.
func (cp *controlPlane) refusals(t *testing.T) []chain.Entry {
	t.Helper()
	all, _, err := cp.Catalog.AuditLog.List(t.Context(), catalog.AuditQuery{Action: "agent.duplicate"})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSecondAgentIsRefusedAndTheFirstStays(t *testing.T) {
	cp := start(t)
	first := cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one", Host: "berlin"})
	heard := first.answers(t)
	for range 3 { // it comes again and again, and neither flaps
		second := cp.hail(t, "db1", &pgharborv1.Hello{Incarnation: "two", Host: "munich", AgentVersion: "clone"})
		m, err := second.stream.Recv()
		if err == nil || !strings.Contains(err.Error(), "berlin") || !strings.Contains(err.Error(), "munich") {
			t.Fatalf("the second agent got %v, %v", m, status.Convert(err).Message())
		}
	}
	agent, err := cp.Catalog.Agents.Get(t.Context(), "db1")
	if err != nil || agent.Duplicate.Host != "munich" || agent.Duplicate.At.IsZero() {
		t.Errorf("the catalog has %+v, %v", agent.Duplicate, err)
	}
	if agent.Version == "clone" {
		t.Error("what the second agent says of itself was taken over")
	}
	if all := cp.refusals(t); len(all) != 1 || all[0].Outcome != chain.OutcomeDenied || all[0].Instance != "db1" || !strings.Contains(all[0].Detail, "munich") {
		t.Errorf("the audit log has %+v", all)
	}
	job := cp.submit(t, "db1")
	if got := (<-heard).GetOffer().GetJobId(); got != job.ID {
		t.Errorf("the first agent is offered %q, want %s", got, job.ID)
	}
	// The first one stops: now the other may come.
	first.end()
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "two", Host: "munich"})
}

func TestSecondAgentOnAnotherHostIsNews(t *testing.T) {
	cp := start(t)
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one", Host: "berlin"}).answers(t)
	for _, host := range []string{"munich", "munich", "vienna"} {
		if _, err := cp.hail(t, "db1", &pgharborv1.Hello{Incarnation: host, Host: host}).stream.Recv(); err == nil {
			t.Fatalf("the agent on %s was admitted", host)
		}
	}
	if all := cp.refusals(t); len(all) != 2 {
		t.Errorf("the audit log has %+v", all)
	}
}

func TestBrokenConnectionOfTheSameAgentIsSuperseded(t *testing.T) {
	cp := start(t)
	older := cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one"})
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one"})
	if _, err := older.stream.Recv(); err == nil || !strings.Contains(err.Error(), session.ErrSuperseded.Error()) {
		t.Errorf("the older session ended with %v", err)
	}
	if all := cp.refusals(t); len(all) != 0 {
		t.Errorf("the audit log has %+v", all)
	}
}

func TestRestartedAgentIsAdmittedOnceItsOldSessionHasEnded(t *testing.T) {
	cp := start(t)
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one"}).end()
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "two"})
	if all := cp.refusals(t); len(all) != 0 {
		t.Errorf("the audit log has %+v", all)
	}
}

// A session whose network died stays open for a while, and answers nothing.
func TestDeadSessionDoesNotLockItsAgentOut(t *testing.T) {
	cp := start(t)
	cp.Heartbeat = 50 * time.Millisecond
	dead := cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "one"})
	cp.connect(t, "db1", &pgharborv1.Hello{Incarnation: "two"})
	for err := error(nil); err == nil; {
		_, err = dead.stream.Recv()
	}
	if all := cp.refusals(t); len(all) != 0 {
		t.Errorf("the audit log has %+v", all)
	}
	if agent, err := cp.Catalog.Agents.Get(t.Context(), "db1"); err != nil || !agent.Duplicate.At.IsZero() {
		t.Errorf("the catalog has %+v, %v", agent.Duplicate, err)
	}
}
