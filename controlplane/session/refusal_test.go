package session_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// An agent reports on its own instance, whatever ids it knows.
func TestAgentCannotTouchAnotherInstance(t *testing.T) {
	cp := start(t)
	b := aBackup()
	running := aRun(func(r *pgharborv1.Run) { r.State, r.FinishedAt = fleet.RunRunning, nil })
	victim := cp.connect(t, "db1", &pgharborv1.Hello{})
	victim.report(t, runFinished(aRun(), b))
	victim.send(t, heartbeat(&pgharborv1.Heartbeat{Running: []*pgharborv1.Run{running}}))
	job := cp.submit(t, "db1")
	victim.offer(t)
	victim.allTaken(t)
	state := func() any {
		runs, _, err := cp.Catalog.Runs.OfJob(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		known, err := cp.Catalog.Backups.Get(t.Context(), b.GetId())
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
			a.allTaken(t)
			if diff := cmp.Diff(before, state()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// garbage is what makes a run or its backup senseless.
func garbage(huge string) map[string]func(*pgharborv1.Run, *pgharborv1.Backup) {
	return map[string]func(*pgharborv1.Run, *pgharborv1.Backup){
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
	}
}

// What makes no sense is refused, and does not cost the agent its session: it would send the same
// again forever.
func TestGarbageIsRefusedAndTheSessionGoesOn(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{AgentVersion: strings.Repeat("v", 1<<20)})
	huge := strings.Repeat("x", 1<<20)
	for name, bad := range garbage(huge) {
		t.Run(name, func(t *testing.T) {
			r, b := aRun(), aBackup()
			bad(r, b)
			a.report(t, runFinished(r, b))
			a.send(t, heartbeat(&pgharborv1.Heartbeat{Running: []*pgharborv1.Run{r}}))
			a.send(t, inventory("x", b))
			a.allTaken(t)
		})
	}
	a.report(t, jobFinished("../x", "succeeded"))
	a.report(t, jobFinished(fleet.NewID(), "splendid"))
	a.report(t, backupRemoved("../x"))
	a.send(t, reportOf(&pgharborv1.Report{Id: huge})) // nothing is sent back that is as large
	a.send(t, jobUpdate(huge, huge))
	a.send(t, &pgharborv1.ConnectRequest{})
	a.allTaken(t)

	good := aBackup()
	a.report(t, runFinished(aRun(), good))
	for _, r := range cp.runs(t, "db1") {
		if !fleet.ValidID(r.ID) || r.Database != "shop" || r.StartedAt.IsZero() {
			t.Errorf("the catalog has the run %+v", r)
		}
	}
	for id, state := range cp.backups(t, "db1") {
		b, err := cp.Catalog.Backups.Get(t.Context(), id)
		if err != nil || b.Manifest.Filename != good.GetFilename() || b.SizeBytes != 10 || b.Manifest.SHA256 != good.GetSha256() {
			t.Errorf("the catalog has the backup %+v (%s), %v", b, state, err)
		}
	}
	if agent, err := cp.Catalog.Agents.Get(t.Context(), "db1"); err != nil || len(agent.Version) > 10<<10 {
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
	a.allTaken(t) // the existing session is not disturbed
}
