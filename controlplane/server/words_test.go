package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// canary is what an agent says wherever it may say anything.
const canary = "4111-1111"

// wordy sets every text of a message that is not set yet to the canary, at any depth,
// also of fields that do not exist today.
func wordy[M proto.Message](m M) M {
	fillWords(m.ProtoReflect())
	return m
}

func fillWords(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		field := fields.Get(n)
		text, isMessage := field.Kind() == protoreflect.StringKind, field.Kind() == protoreflect.MessageKind
		isOurs := isMessage && field.Message().ParentFile().Package() == "pgharbor.v1"
		switch {
		case field.ContainingOneof() != nil && !m.Has(field):
		case field.IsList() && isOurs:
			if list := m.Mutable(field).List(); list.Len() == 0 {
				fillWords(list.AppendMutable().Message())
			} else {
				for i := range list.Len() {
					fillWords(list.Get(i).Message())
				}
			}
		case field.IsList() && text && !m.Has(field):
			m.Mutable(field).List().Append(protoreflect.ValueOfString(canary))
		case !field.IsList() && isOurs:
			fillWords(m.Mutable(field).Message())
		case !field.IsList() && text && !m.Has(field):
			m.Set(field, protoreflect.ValueOfString(canary))
		}
	}
}

// saysAll has an agent say as much as it can of one backup that had a test restore, and of all that
// may be wrong.
func saysAll(t *testing.T, a *agent, testRestoreState string) {
	t.Helper()
	now := timestamppb.Now()
	backup := &pgharborv1.Backup{
		Id: fleet.NewID(), Kind: "logical", Subject: "database", Database: "shop", DependsOn: []string{fleet.NewID()}, Filename: "backup-2026-01-02-03-04-05.sql", SizeBytes: 1, CreatedAt: now, Complete: true,
		Sha256: strings.Repeat("0", 64), PlainSha256: strings.Repeat("0", 64), PreviousSha256: strings.Repeat("0", 64),
		Proof: &pgharborv1.Proof{State: testRestoreState, FinishedAt: now}, Globals: &pgharborv1.Globals{Filename: "g", Sha256: strings.Repeat("0", 64)},
	}
	for _, r := range []*pgharborv1.Report{
		{Event: &pgharborv1.Report_RunFinished{RunFinished: wordy(&pgharborv1.RunFinished{Backup: backup, Run: runThatIs(fleet.RunSucceeded)})}},
		{Event: &pgharborv1.Report_BackupProved{BackupProved: wordy(&pgharborv1.BackupProved{
			BackupId: backup.GetId(), Proof: &pgharborv1.Proof{State: testRestoreState, FinishedAt: now},
		})}},
		{Event: &pgharborv1.Report_BackupScrubbed{BackupScrubbed: wordy(&pgharborv1.BackupScrubbed{BackupId: backup.GetId(), ScrubbedAt: now})}},
		{Event: &pgharborv1.Report_RunFinished{RunFinished: &pgharborv1.RunFinished{Run: wordy(runThatIs(fleet.RunFailed))}}},
	} {
		a.report(t, r)
	}
}

// runThatIs is a run in a state, with no word in it yet.
func runThatIs(state string) *pgharborv1.Run {
	now := timestamppb.Now()
	run := &pgharborv1.Run{Id: fleet.NewID(), Database: "shop", State: state, StartedAt: now, BackupId: fleet.NewID(), JobId: fleet.NewID()}
	if state != fleet.RunRunning {
		run.FinishedAt = now
	}
	return run
}

// What an agent says in its own words may hold a row of a database. A test restore told its
// server_version and its method to anyone who reaches the port.
func TestStrangersHearNoWordsOfAgents(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	for name, state := range map[string]string{"db1": fleet.TestRestoreSucceeded, "db2": fleet.TestRestoreFailed} {
		a := connectAgent(t, cp, name)
		status := &pgharborv1.AgentStatus{Databases: []*pgharborv1.InstanceDatabase{{Name: "shop"}, {Name: "uncovered"}}}
		a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: wordy(&pgharborv1.Heartbeat{
			Status: status, Running: []*pgharborv1.Run{runThatIs(fleet.RunRunning)}, InventoryDigest: "digest",
		})}})
		if asked := a.receive(t); asked.GetInventoryRequest() == nil {
			t.Fatalf("the heartbeat is answered with %v", asked)
		}
		saysAll(t, a, state)
	}
	health, err := pgharborv1.NewHealthServiceClient(cp.Owner(t)).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if heard := strings.Count(health.String(), canary); heard < 20 {
		t.Errorf("who has a certificate hears %d words: this test looks for what is not there", heard)
	}
	for _, path := range []string{"/v1/health", "/metrics", "/v1/health?instance=" + canary} {
		request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, cp.URL(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if at := strings.Index(string(body), canary); at >= 0 {
			t.Errorf("%s: %s", path, body[max(0, at-200):at+len(canary)])
		}
		if path == "/v1/health" && (strings.Count(string(body), `"proof"`) != 2 || !strings.Contains(string(body), "the newest run failed")) {
			t.Errorf("it has no test restore, or no reason: %s", body)
		}
	}
}
