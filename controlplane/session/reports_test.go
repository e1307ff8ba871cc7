package session_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func TestReportIsInTheCatalogBeforeItIsAcknowledged(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	b := aBackup()
	r := runFinished(aRun(func(r *pgharborv1.Run) { r.BackupId = b.GetId() }), b)
	a.report(t, r)
	if got := cp.runs(t, "db1"); len(got) != 1 || got[0].BackupID != b.GetId() || got[0].State != fleet.RunSucceeded {
		t.Errorf("the runs are %+v", got)
	}
	a.report(t, r) // the acknowledgement was lost
	if got := cp.runs(t, "db1"); len(got) != 1 {
		t.Errorf("after a repetition the runs are %+v", got)
	}
	removed := backupRemoved(b.GetId())
	a.report(t, removed)
	a.report(t, removed)
	a.report(t, r) // late, and out of order
	if diff := cmp.Diff(map[string]string{b.GetId(): fleet.BackupRemoved}, cp.backups(t, "db1")); diff != "" {
		t.Error(diff)
	}
}

func TestReportThatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	if err := cp.Catalog.Close(); err != nil {
		t.Fatal(err)
	}
	a.send(t, reportOf(runFinished(aRun(), nil)))
	if m, err := a.stream.Recv(); err == nil {
		t.Errorf("got %v", m)
	}
}

// What happened while the control plane was away arrives when it is back.
func TestJournalIsTakenAfterARestart(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	job := cp.submit(t, "db1")
	a.offer(t)
	a.send(t, jobUpdate(job.ID, "dump"))
	a.settle(t)
	cp.stop(t)
	if _, err := a.stream.Recv(); err == nil {
		t.Error("the session outlives the control plane")
	}
	cp.run(t)
	a = cp.connect(t, "db1", &pgharborv1.Hello{})
	run := aRun(func(r *pgharborv1.Run) { r.JobId = job.ID })
	a.report(t, runFinished(run, nil))
	a.report(t, jobFinished(job.ID, "succeeded"))
	a.send(t, heartbeat(&pgharborv1.Heartbeat{}))
	a.settle(t)
	if got := cp.job(t, job.ID).State; got != fleet.JobSucceeded {
		t.Errorf("the job is %s", got)
	}
	if got, err := cp.Catalog.JobRuns(t.Context(), job.ID); err != nil || len(got) != 1 || got[0].ID != run.GetId() {
		t.Errorf("its runs are %+v, %v", got, err)
	}
}

func TestNewerSessionSupersedesTheOlder(t *testing.T) {
	cp := start(t)
	older := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: "1"})
	other := cp.connect(t, "db2", &pgharborv1.Hello{})
	newer := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: "2"})
	if _, err := older.stream.Recv(); err == nil || !strings.Contains(err.Error(), session.ErrSuperseded.Error()) {
		t.Errorf("the older one ended with %v", err)
	}
	if !cp.Connected("db1") || cp.Count() != 2 {
		t.Errorf("connected %t, %d sessions", cp.Connected("db1"), cp.Count())
	}
	job := cp.submit(t, "db1")
	if got := newer.offer(t).GetJobId(); got != job.ID {
		t.Errorf("offered %s, want %s", got, job.ID)
	}
	other.settle(t)
}

func TestAgentThatLeavesIsNotConnected(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	if err := a.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = a.stream.Recv()
	}
	cp.server.Stop() // waits for the handler
	if cp.Connected("db1") {
		t.Error("it counts as connected")
	}
}

func TestInventoryReplacesWhatIsKnown(t *testing.T) {
	cp := start(t)
	kept, gone, back, removed := aBackup(), aBackup(), aBackup(), aBackup()
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	for _, b := range []*pgharborv1.Backup{gone, removed} {
		a.report(t, runFinished(aRun(), b))
	}
	a.report(t, backupRemoved(removed.GetId()))

	a.send(t, heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "one"}))
	if m := a.receive(t); m.GetInventoryRequest() == nil {
		t.Fatalf("got %v, want a request for the inventory", m)
	}
	// Two pages make one inventory; until its last page nothing has changed.
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &pgharborv1.InventoryPage{
		Backups: []*pgharborv1.Backup{kept}, Digest: "one",
	}}})
	a.settle(t)
	if got := cp.backups(t, "db1")[gone.GetId()]; got != fleet.BackupPresent {
		t.Errorf("after half an inventory a backup is %s", got)
	}
	a.send(t, inventory("one", back))
	a.settle(t)
	want := map[string]string{
		kept.GetId(): fleet.BackupPresent, back.GetId(): fleet.BackupPresent, gone.GetId(): fleet.BackupMissing, removed.GetId(): fleet.BackupRemoved,
	}
	if diff := cmp.Diff(want, cp.backups(t, "db1")); diff != "" {
		t.Errorf("after the first inventory: %s", diff)
	}

	a.send(t, inventory("two", kept, gone))
	a.settle(t)
	want[gone.GetId()], want[back.GetId()] = fleet.BackupPresent, fleet.BackupMissing
	if diff := cmp.Diff(want, cp.backups(t, "db1")); diff != "" {
		t.Errorf("after the second: %s", diff)
	}

	// An inventory that is known is not asked for, also in a later session.
	a.send(t, heartbeat(&pgharborv1.Heartbeat{InventoryDigest: "two"}))
	a.settle(t)
	a.end()
	a = cp.connect(t, "db1", &pgharborv1.Hello{InventoryDigest: "two"})
	a.settle(t)
	a = cp.connect(t, "db1", &pgharborv1.Hello{InventoryDigest: "three"})
	if m := a.receive(t); m.GetInventoryRequest() == nil {
		t.Fatalf("got %v, want a request for the inventory", m)
	}
}

// An agent speaks of its own instance, whatever ids it knows.
func TestAgentCannotTouchAnotherInstance(t *testing.T) {
	cp := start(t)
	b := aBackup()
	running := aRun(func(r *pgharborv1.Run) { r.State, r.FinishedAt = fleet.RunRunning, nil })
	victim := cp.connect(t, "db1", &pgharborv1.Hello{})
	victim.report(t, runFinished(aRun(), b))
	victim.send(t, heartbeat(&pgharborv1.Heartbeat{Running: []*pgharborv1.Run{running}}))
	job := cp.submit(t, "db1")
	victim.offer(t)
	victim.settle(t)
	state := func() any {
		runs, err := cp.Catalog.JobRuns(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		known, err := cp.Catalog.Backup(t.Context(), b.GetId())
		if err != nil {
			t.Fatal(err)
		}
		return []any{cp.runs(t, "db1"), known, cp.backups(t, "db1"), cp.job(t, job.ID), runs}
	}
	before := state()

	forged := aBackup(func(f *pgharborv1.Backup) { f.Id, f.Sha256, f.Complete = b.GetId(), strings.Repeat("1", 64), false })
	a := cp.connect(t, "db2", &pgharborv1.Hello{RunningJobIds: []string{job.ID}})
	for name, m := range map[string]*pgharborv1.ConnectRequest{
		"a run":              reportOf(runFinished(aRun(func(r *pgharborv1.Run) { r.Id = running.GetId() }), nil)),
		"a run's backup":     reportOf(runFinished(aRun(), forged)),
		"a run under way":    heartbeat(&pgharborv1.Heartbeat{Running: []*pgharborv1.Run{running}}),
		"a run of a job":     reportOf(runFinished(aRun(func(r *pgharborv1.Run) { r.JobId = job.ID }), nil)),
		"a removal":          reportOf(backupRemoved(b.GetId())),
		"the end of a job":   reportOf(jobFinished(job.ID, "failed")),
		"a job's progress":   jobUpdate(job.ID, "dump"),
		"an inventory":       inventory("x", forged),
		"an empty inventory": inventory("y"),
	} {
		t.Run(name, func(t *testing.T) {
			a.send(t, m)
			if m.GetReport() != nil {
				a.receive(t)
			}
			a.settle(t)
			if diff := cmp.Diff(before, state()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What makes no sense is refused, and does not cost the agent its session: it
// would send the same again for ever.
func TestGarbageIsRefusedAndTheSessionGoesOn(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: strings.Repeat("v", 1<<20)})
	huge := strings.Repeat("x", 1<<20)
	for name, bad := range map[string]func(*pgharborv1.Run, *pgharborv1.Backup){
		"no run id":          func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.Id = "" },
		"a path as run id":   func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.Id = "../../etc/passwd" },
		"a long run id":      func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.Id = huge },
		"no database":        func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.Database = "" },
		"a long database":    func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.Database = huge },
		"an unknown state":   func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.State = "good" },
		"no start":           func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.StartedAt = nil },
		"an impossible time": func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.StartedAt = &timestamppb.Timestamp{Seconds: 1 << 60} },
		"no end":             func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.FinishedAt = nil },
		"a bad job id":       func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.JobId = huge },
		"a bad backup id":    func(r *pgharborv1.Run, _ *pgharborv1.Backup) { r.BackupId = "\x1b[2J" },
		"no backup's id":     func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Id = "" },
		"a file elsewhere":   func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Filename = "../backup-1.sql" },
		"a file in a folder": func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Filename = "backup-1/../../x.sql" },
		"a file's control":   func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Filename = "backup-1.sql\x1b[2J" },
		"another file":       func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Filename = ".bashrc" },
		"no file":            func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Filename = "" },
		"a negative size":    func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.SizeBytes = -1 },
		"no hash":            func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Sha256 = "" },
		"a hash of no hex":   func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.Sha256 = strings.Repeat("\n", 64) },
		"a backup's no time": func(_ *pgharborv1.Run, b *pgharborv1.Backup) { b.CreatedAt = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r, b := aRun(), aBackup()
			bad(r, b)
			a.report(t, runFinished(r, b))
			a.send(t, heartbeat(&pgharborv1.Heartbeat{Running: []*pgharborv1.Run{r}}))
			a.send(t, inventory("x", b))
			a.settle(t)
		})
	}
	a.report(t, jobFinished("../x", "succeeded"))
	a.report(t, jobFinished(fleet.NewID(), "splendid"))
	a.report(t, backupRemoved("../x"))
	a.report(t, &pgharborv1.Report{Id: huge})
	a.send(t, jobUpdate(huge, huge))
	a.send(t, &pgharborv1.ConnectRequest{})
	a.settle(t)

	good := aBackup()
	a.report(t, runFinished(aRun(), good))
	for _, r := range cp.runs(t, "db1") {
		if !fleet.ValidID(r.ID) || r.Database != "shop" || r.StartedAt.IsZero() {
			t.Errorf("the catalog has the run %+v", r)
		}
	}
	for id, state := range cp.backups(t, "db1") {
		b, err := cp.Catalog.Backup(t.Context(), id)
		if err != nil || b.Manifest.Filename != good.GetFilename() || b.SizeBytes != 10 || b.Manifest.SHA256 != good.GetSha256() {
			t.Errorf("the catalog has the backup %+v (%s), %v", b, state, err)
		}
	}
	if agent, err := cp.Catalog.Agent(t.Context(), "db1"); err != nil || len(agent.Version) > 10<<10 {
		t.Errorf("the agent's version takes %d bytes, %v", len(agent.Version), err)
	}
}

// A tool's own words are kept, to a bound.
func TestLongErrorsAreCut(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	a.report(t, runFinished(aRun(func(r *pgharborv1.Run) { r.State, r.Error = fleet.RunFailed, strings.Repeat("é", 1<<20) }), nil))
	if got := cp.runs(t, "db1"); len(got) != 1 || len(got[0].Error) > 10<<10 || !strings.HasPrefix(got[0].Error, "éé") {
		t.Errorf("%d runs, whose error takes %d bytes", len(got), len(got[0].Error))
	}
}

func TestSessionBeginsWithAHello(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	stream, err := pgharborv1.NewSessionServiceClient(a.conn).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(heartbeat(&pgharborv1.Heartbeat{})); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err == nil {
		t.Errorf("got %v", m)
	}
	a.settle(t) // the session that stands is not disturbed
}
