package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func sampleBackups() []*pgharborv1.Backup {
	var all []*pgharborv1.Backup
	for i := 1; i <= 5; i++ {
		all = append(all, &pgharborv1.Backup{
			Id: fmt.Sprintf("id%d", i), Instance: "shop-db", Database: "shop", Filename: "backup-2026-11-20-01-00-00.sql.enc",
			SizeBytes: 5 << 20, CreatedAt: timestamppb.New(time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)),
			Encrypted: true, Encryption: "openssl-aes-256-cbc-pbkdf2", State: "present", Complete: true,
			Retention: &pgharborv1.Retention{Status: "kept", ExpiresAt: timestamppb.New(time.Date(2026, 12, 20, 1, 0, 0, 0, time.UTC))},
		})
	}
	return all
}

func TestListMergesAllPages(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	got := f.run(t, "list", "-o", "json", "--instance", "shop-db", "--database", "shop", "--since", "2026-11-01")
	var merged struct {
		Backups []struct {
			ID        string `json:"id"`
			SizeBytes string `json:"size_bytes"`
			Retention struct {
				Status string `json:"status"`
			} `json:"retention"`
		} `json:"backups"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &merged); err != nil || got.code != exit.Done {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(merged.Backups) != 5 || merged.Backups[4].ID != "id5" || merged.Backups[0].SizeBytes != "5242880" || merged.Backups[0].Retention.Status != "kept" {
		t.Errorf("merged: %+v", merged)
	}
	first := f.listed[0]
	if len(f.listed) != 3 || first.GetInstance() != "shop-db" || first.GetDatabase() != "shop" ||
		!first.GetSince().AsTime().Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d calls, the first %v", len(f.listed), first)
	}
}

func TestListTable(t *testing.T) {
	f := loggedIn(t)
	f.clock.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.backups = sampleBackups()[:2]
	f.backups[1].Database = "evil\x1b[2J\nrow"
	f.backups[1].Retention.Status = "kept-last"
	f.backups[1].Proof = &pgharborv1.Proof{State: "failed", FinishedAt: timestamppb.New(f.clock.at)}
	got := f.run(t, "list")
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if got.code != exit.Done || len(lines) != 3 {
		t.Fatalf("%+v", got)
	}
	headings := "ID INSTANCE DATABASE FILENAME SIZE CREATED AGE ENCRYPTED PROVEN RETENTION"
	if strings.Join(strings.Fields(lines[0]), " ") != headings {
		t.Errorf("headings %q", lines[0])
	}
	row := "id1 shop-db shop backup-2026-11-20-01-00-00.sql.enc 5.0 MiB 2026-11-20 01:00:00 UTC 3d yes no kept until 2026-12-20"
	if strings.Join(strings.Fields(lines[1]), " ") != row {
		t.Errorf("row %q", lines[1])
	}
	if !strings.Contains(lines[2], `evil\x1b[2J\nrow`) || !strings.Contains(lines[2], "yes        FAILED  kept-last") {
		t.Errorf("row %q", lines[2])
	}
}

func TestAFailureInTheMiddlePrintsNoJSON(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.failWith = status.Error(codes.PermissionDenied, "anna may not")
	got := f.run(t, "list", "-o", "json")
	if got.code != exit.Denied || got.stdout != "" || got.stderr != "pgharbor: list: anna may not\n" {
		t.Errorf("%+v", got)
	}
}

func TestShow(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.backups[0].Warnings = []string{"pg_dump: warning: subscriptions not dumped\nbecause"}
	f.backups[0].Tables = []*pgharborv1.TableRows{{Schema: "public", Name: "or\tders", Rows: 1234567}}
	got := f.run(t, "show", "id1")
	for _, want := range []string{"subscriptions not dumped; because", `or\tders`, "1,234,567", "kept until 2026-12-20"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is missing in %s", want, got.stdout)
		}
	}
	if got := f.run(t, "show", "nope"); got.code != exit.NotFound || got.stdout != "" {
		t.Errorf("%+v", got)
	}
}

func TestShowNamesABackupThatOnlyANewerOneCanRestore(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.backups[0].Kind, f.backups[0].Subject = "logical", "database"
	f.backups[1].Kind, f.backups[1].Subject, f.backups[1].Database = "unheard", "instance", ""
	if got := f.run(t, "show", "id2"); got.code != exit.Done || !strings.Contains(got.stdout, `it is of a newer pgharbor: its kind is "unheard"`) {
		t.Errorf("%+v", got)
	}
	for _, id := range []string{"id1", "id3"} { // the second as by a control plane that knows no kinds
		if got := f.run(t, "show", id); got.code != exit.Done || strings.Contains(got.stdout, "newer") {
			t.Errorf("%+v", got)
		}
	}
	if got := f.run(t, "list", "-o", "json"); !strings.Contains(got.stdout, `"kind": "logical"`) && !strings.Contains(got.stdout, `"kind":"logical"`) {
		t.Errorf("%+v", got)
	}
}

func TestHealthExitCode(t *testing.T) {
	f := loggedIn(t)
	f.health = &pgharborv1.GetHealthResponse{Databases: []*pgharborv1.DatabaseHealth{{
		Instance: "shop-db", Database: "shop", Verdict: "STALE",
		Reasons: []*pgharborv1.HealthReason{{Verdict: "STALE", Text: "the newest backup is 27 h old", NextStep: "pgharbor backup shop-db"}},
	}}}
	got := f.run(t, "health")
	if got.code != exit.Done || !strings.Contains(got.stdout, "27 h old") || !strings.Contains(got.stdout, "pgharbor backup shop-db") {
		t.Errorf("health: %+v", got)
	}
	if got := f.run(t, "health", "--exit-code", "-o", "json"); got.code != exit.Unhealthy || !strings.Contains(got.stdout, "STALE") || got.stderr != "" {
		t.Errorf("health --exit-code: %+v", got)
	}
	f.health = &pgharborv1.GetHealthResponse{Healthy: true}
	if got := f.run(t, "health", "--exit-code"); got.code != exit.Done {
		t.Errorf("healthy: %+v", got)
	}
}

// What is well of a large fleet is a count, so that what is not can be seen.
func TestHealthOfALargeFleetFoldsWhatIsWell(t *testing.T) {
	f := loggedIn(t)
	f.health = &pgharborv1.GetHealthResponse{Databases: []*pgharborv1.DatabaseHealth{{Instance: "db1", Database: "crm", Verdict: "STALE"}}}
	for n := range 100 {
		f.health.Databases = append(f.health.Databases, &pgharborv1.DatabaseHealth{Instance: "db" + strconv.Itoa(n), Database: "shop", Verdict: "OK"})
	}
	got := f.run(t, "health")
	if !strings.Contains(got.stdout, "databases: 101, 1 STALE, 100 OK") || !strings.Contains(got.stdout, "crm") || strings.Contains(got.stdout, "shop") ||
		!strings.Contains(got.stderr, "100 databases are OK") {
		t.Errorf("%+v", got)
	}
	if got := f.run(t, "health", "--verdict", "OK"); strings.Count(got.stdout, "shop") != 100 {
		t.Errorf("%+v", got)
	}
}
