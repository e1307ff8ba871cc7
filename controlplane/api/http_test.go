package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// serveHTTP returns what answers over HTTP, and the catalog behind it.
func serveHTTP(t *testing.T) (http.Handler, *catalog.Catalog) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	clock := func() time.Time { return now }
	status := &api.Status{
		Catalog: c, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Evaluator: &health.Evaluator{Catalog: c, Now: clock, Heartbeat: 10 * time.Second},
	}
	return status.Handler(prometheus.NewRegistry()), c
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

// hasBackup makes an instance with a backup of this age.
func hasBackup(t *testing.T, c *catalog.Catalog, instance string, age time.Duration) {
	t.Helper()
	err := c.Invites.Create(t.Context(), fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerAgent, Name: instance, CreatedAt: now, ExpiresAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Agents.RecordSeen(t.Context(), instance, now); err != nil {
		t.Fatal(err)
	}
	made := now.Add(-age)
	backup := fleet.Backup{ID: fleet.NewID(), Instance: instance, Database: "shop", CreatedAt: made, Complete: true, SizeBytes: 7}
	err = c.Runs.Record(t.Context(), fleet.Run{
		ID: fleet.NewID(), Instance: instance, Database: "shop", State: fleet.RunSucceeded, StartedAt: made, FinishedAt: made, BackupID: backup.ID,
	}, &backup)
	if err != nil {
		t.Fatal(err)
	}
}

func TestLivenessAndReadiness(t *testing.T) {
	h, c := serveHTTP(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := get(t, h, path).Code; got != http.StatusOK {
			t.Errorf("%s: %d", path, got)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable, "/v1/health": http.StatusServiceUnavailable} {
		if got := get(t, h, path).Code; got != want {
			t.Errorf("%s without a catalog: %d, want %d", path, got, want)
		}
	}
}

// Plain checkers look at the status, others at these fields.
func TestFleetHealthAsJSON(t *testing.T) {
	h, c := serveHTTP(t)
	hasBackup(t, c, "db1", time.Hour)
	healthy := map[string]any{
		"healthy": true, "checked_at": "2026-03-01T12:00:00Z", "databases": []any{map[string]any{
			"instance": "db1", "database": "shop", "verdict": "OK", "reasons": []any{}, "warnings": []any{},
			"newest_backup_at": "2026-03-01T11:00:00Z", "newest_backup_size_bytes": "7", "newest_run_state": "succeeded",
			"agent_last_seen_at": "2026-03-01T12:00:00Z", "recent_sizes_bytes": []any{"7"},
		}},
	}
	if diff := cmp.Diff(healthy, fleetHealth(t, h, "/v1/health", http.StatusOK)); diff != "" {
		t.Error(diff)
	}

	hasBackup(t, c, "db2", 26*time.Hour)
	unhealthy := fleetHealth(t, h, "/v1/health", http.StatusServiceUnavailable)
	worst := unhealthy["databases"].([]any)[0].(map[string]any)
	if unhealthy["healthy"] != false || worst["instance"] != "db2" || worst["verdict"] != "STALE" {
		t.Errorf("got %v", unhealthy)
	}
	reason := worst["reasons"].([]any)[0].(map[string]any)
	if diff := cmp.Diff(map[string]any{
		"verdict": "STALE", "text": "the newest backup is 26h0m0s old", "next_step": "pgharbor backup db2",
	}, reason); diff != "" {
		t.Error(diff)
	}
	fleetHealth(t, h, "/v1/health?instance=db1", http.StatusOK)
	fleetHealth(t, h, "/v1/health?database=shop&instance=*1", http.StatusOK)
	fleetHealth(t, h, "/v1/health?verdict=FAILED&verdict=SILENT", http.StatusOK)
	fleetHealth(t, h, "/v1/health?verdict=failed&verdict=stale", http.StatusServiceUnavailable)
	if got := get(t, h, "/v1/health?verdict=FINE").Code; got != http.StatusBadRequest {
		t.Errorf("an unknown verdict: %d", got)
	}
	for _, unknown := range []string{"instance=none", "instance=none-*", "database=none"} {
		if got := get(t, h, "/v1/health?"+unknown).Code; got != http.StatusNotFound {
			t.Errorf("%s: %d", unknown, got)
		}
	}
}

// Anyone who asks without a certificate gets codes, figures and names, and nothing that an agent
// says in its own words; GetHealth, which asks for one, has all of it.
func TestHealthWithoutACertificateHasNoWordsOfAgents(t *testing.T) {
	h, c := serveHTTP(t)
	hasBackup(t, c, "db1", time.Hour)
	const words = "4111-1111"
	free := int64(0)
	err := c.Agents.RecordStatus(t.Context(), "db1", "1", fleet.AgentStatus{
		ServerVersion: "15 " + words, DumpVersion: "14 " + words, FolderWarning: words, FreeBytes: &free, RetentionBlocked: words, Warnings: []string{words},
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Agents.RecordDuplicate(t.Context(), "db1", fleet.Duplicate{Host: words, At: now}); err != nil {
		t.Fatal(err)
	}
	backups, _, err := c.Backups.List(t.Context(), catalog.BackupQuery{})
	if err != nil || len(backups) != 1 {
		t.Fatal(backups, err)
	}
	testRestore := fleet.TestRestore{State: fleet.TestRestoreFailed, FinishedAt: now, ServerVersion: words, Method: words, Differences: []string{words}}
	if err := c.Backups.RecordTestRestore(t.Context(), "db1", backups[0].ID, testRestore); err != nil {
		t.Fatal(err)
	}
	if err := c.Backups.RecordScrub(t.Context(), "db1", backups[0].ID, now, words); err != nil {
		t.Fatal(err)
	}
	run := fleet.Run{ID: fleet.NewID(), Instance: "db1", Database: "shop", State: fleet.RunFailed, StartedAt: now, FinishedAt: now, Error: words}
	if err := c.Runs.Record(t.Context(), run, nil); err != nil {
		t.Fatal(err)
	}
	body := get(t, h, "/v1/health").Body.String()
	if strings.Contains(body, words) {
		t.Errorf("it has an agent's words: %s", body)
	}
	for _, want := range []string{
		"the newest run failed", "the backup folder can't be used", "retention removes nothing", "a second agent with the same identity",
		"pg_dump of version 14 refuses its server, which is of version 15", "1 backups are damaged", "the test restore of backup",
	} {
		if !strings.Contains(body, `"`+want) {
			t.Errorf("%q is not in %s", want, body)
		}
	}
	evaluator := health.Evaluator{Catalog: c, Now: func() time.Time { return now }, Heartbeat: 10 * time.Second}
	report, err := evaluator.Fleet(t.Context(), health.Query{})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, reason := range report.Statuses[0].Reasons {
		told += strings.Count(reason.Text, words)
	}
	if told < 6 {
		t.Errorf("%d reasons have the agent's words: this test looks for what is not there", told)
	}
}

func fleetHealth(t *testing.T, h http.Handler, path string, status int) map[string]any {
	t.Helper()
	answer := get(t, h, path)
	if answer.Code != status || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d, %s", path, answer.Code, answer.Header())
	}
	var body map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

// Watchers only look.
func TestHTTPChangesNothing(t *testing.T) {
	h, _ := serveHTTP(t)
	for _, path := range []string{"/healthz", "/readyz", "/v1/health"} {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil))
		if answer.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, answer.Code)
		}
	}
}
