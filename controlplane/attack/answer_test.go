package attack_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// The runs of one job, each at the bounds of its fields, were one answer of hundreds of MiB to
// anyone who may look, and again at each change of the job.
func TestRunsOfOneJobFillNoAnswer(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{Status: databases(1, "m%d")})
	started, err := pgharborv1.NewBackupServiceClient(h.owner).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "mallory"})
	if err != nil {
		t.Fatal(err)
	}
	id := started.GetJob().GetId()
	var warnings []string
	for range 50 {
		warnings = append(warnings, strings.Repeat("w", 2000))
	}
	const runs = 40
	for range runs {
		now := timestamppb.Now()
		mallory.report(t, &pgharborv1.Report{Event: &pgharborv1.Report_RunFinished{RunFinished: &pgharborv1.RunFinished{
			Run: &pgharborv1.Run{
				Id: fleet.NewID(), Database: "m0", Trigger: "job", State: fleet.RunFailed, StartedAt: now, FinishedAt: now, JobId: id,
				Error: strings.Repeat("e", 8000), Warnings: warnings,
			},
		}}})
	}
	vera := h.User(t, "vera", fleet.RoleViewer)
	jobs := pgharborv1.NewJobServiceClient(vera)
	got, err := jobs.GetJob(bounded(t), &pgharborv1.GetJobRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := jobs.WatchJob(bounded(t), &pgharborv1.WatchJobRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	watched, err := watch.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for name, job := range map[string]*pgharborv1.Job{"GetJob": got.GetJob(), "WatchJob": watched.GetJob()} {
		if size := proto.Size(job); size > 2<<20 || len(job.GetRuns()) == 0 || !job.GetMoreRuns() {
			t.Errorf("%s: %d bytes with %d runs, more: %t", name, size, len(job.GetRuns()), job.GetMoreRuns())
		}
	}
	all := 0
	for request := (&pgharborv1.ListRunsRequest{Instance: "mallory", PageSize: 1000}); ; {
		page, err := pgharborv1.NewRunServiceClient(vera).ListRuns(bounded(t), request)
		if err != nil || proto.Size(page) > 2<<20 {
			t.Fatalf("a page of %d bytes, %v", proto.Size(page), err)
		}
		all += len(page.GetRuns())
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	if all != runs {
		t.Errorf("%d runs are listed, of %d", all, runs)
	}
}
