package health_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func collector(t *testing.T) (*health.Collector, *catalog.Catalog) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &health.Collector{
		Evaluator: &health.Evaluator{Catalog: c, Now: func() time.Time { return now }, Heartbeat: 10 * time.Second},
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)),
		Connected: func() int { return 2 }, Transfers: func() int { return 1 },
	}, c
}

// invite makes an instance that has been seen at a time; zero is never.
func invite(t *testing.T, c *catalog.Catalog, instance string, seen time.Time) {
	t.Helper()
	err := c.Invites.Create(t.Context(), fleet.Invite{SecretHash: fleet.NewID(), Kind: fleet.CallerAgent, Name: instance, CreatedAt: now, ExpiresAt: now})
	if err != nil {
		t.Fatal(err)
	}
	if seen.IsZero() {
		return
	}
	if err := c.Agents.RecordSeen(t.Context(), instance, seen); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, c *catalog.Catalog, run fleet.Run, b *fleet.Backup) {
	t.Helper()
	if err := c.Runs.Record(t.Context(), run, b); err != nil {
		t.Fatal(err)
	}
}

// scrape returns what Prometheus would read.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// metricsOfAFleet are those of two instances, one of which was never heard from.
const metricsOfAFleet = `
# HELP pgharbor_agent_backup_folder_free_bytes What the disk of the agent's backup folder has left.
# TYPE pgharbor_agent_backup_folder_free_bytes gauge
pgharbor_agent_backup_folder_free_bytes{pg_instance="db1"} 4096
# HELP pgharbor_agent_certificate_end_timestamp_seconds When the agent's certificate ends.
# TYPE pgharbor_agent_certificate_end_timestamp_seconds gauge
pgharbor_agent_certificate_end_timestamp_seconds{pg_instance="db1"} 1.7740944e+09
# HELP pgharbor_agent_clock_offset_seconds How far the agent's clock is ahead of the control plane's.
# TYPE pgharbor_agent_clock_offset_seconds gauge
pgharbor_agent_clock_offset_seconds{pg_instance="db1"} -0.25
# HELP pgharbor_agent_last_seen_timestamp_seconds When the agent of the instance was heard of last.
# TYPE pgharbor_agent_last_seen_timestamp_seconds gauge
pgharbor_agent_last_seen_timestamp_seconds{pg_instance="db1"} 1.7723664e+09
# HELP pgharbor_agent_next_purge_timestamp_seconds When the agent's retention works next.
# TYPE pgharbor_agent_next_purge_timestamp_seconds gauge
pgharbor_agent_next_purge_timestamp_seconds{pg_instance="db1"} 1.7723736e+09
# HELP pgharbor_agent_next_run_timestamp_seconds When the agent's next scheduled run is due.
# TYPE pgharbor_agent_next_run_timestamp_seconds gauge
pgharbor_agent_next_run_timestamp_seconds{pg_instance="db1"} 1.77237e+09
# HELP pgharbor_agents_connected Agents that have a session now.
# TYPE pgharbor_agents_connected gauge
pgharbor_agents_connected 2
# HELP pgharbor_backup_newest_plain_size_bytes The size of the newest good backup's dump, before compression and encryption.
# TYPE pgharbor_backup_newest_plain_size_bytes gauge
pgharbor_backup_newest_plain_size_bytes{database="shop",pg_instance="db1"} 5678
# HELP pgharbor_backup_newest_size_bytes The stored size of the newest good backup.
# TYPE pgharbor_backup_newest_size_bytes gauge
pgharbor_backup_newest_size_bytes{database="shop",pg_instance="db1"} 1234
# HELP pgharbor_backup_newest_timestamp_seconds When the newest good backup of the database was made.
# TYPE pgharbor_backup_newest_timestamp_seconds gauge
pgharbor_backup_newest_timestamp_seconds{database="shop",pg_instance="db1"} 1.7723628e+09
# HELP pgharbor_catalog_read_duration_seconds How long the catalog took to answer this scrape.
# TYPE pgharbor_catalog_read_duration_seconds gauge
pgharbor_catalog_read_duration_seconds 0
# HELP pgharbor_catalog_up 1 if the catalog answered this scrape.
# TYPE pgharbor_catalog_up gauge
pgharbor_catalog_up 1
# HELP pgharbor_database_reason 1 for each verdict that health has a reason for; the worst is the database's.
# TYPE pgharbor_database_reason gauge
pgharbor_database_reason{database="",pg_instance="db2",verdict="UNKNOWN"} 1
pgharbor_database_reason{database="a \"b\"",pg_instance="db1",verdict="FAILED"} 1
pgharbor_database_reason{database="a \"b\"",pg_instance="db1",verdict="STALE"} 1
# HELP pgharbor_database_verdict 1 for the verdict that health gives the database.
# TYPE pgharbor_database_verdict gauge
pgharbor_database_verdict{database="",pg_instance="db2",verdict="UNKNOWN"} 1
pgharbor_database_verdict{database="a \"b\"",pg_instance="db1",verdict="FAILED"} 1
pgharbor_database_verdict{database="shop",pg_instance="db1",verdict="OK"} 1
# HELP pgharbor_run_newest_duration_seconds How long the newest run took.
# TYPE pgharbor_run_newest_duration_seconds gauge
pgharbor_run_newest_duration_seconds{database="a \"b\"",pg_instance="db1"} 1
pgharbor_run_newest_duration_seconds{database="shop",pg_instance="db1"} 90
# HELP pgharbor_run_newest_succeeded 1 if the newest run succeeded, 0 if it failed.
# TYPE pgharbor_run_newest_succeeded gauge
pgharbor_run_newest_succeeded{database="a \"b\"",pg_instance="db1"} 0
pgharbor_run_newest_succeeded{database="shop",pg_instance="db1"} 1
# HELP pgharbor_run_newest_timestamp_seconds When the newest run ended.
# TYPE pgharbor_run_newest_timestamp_seconds gauge
pgharbor_run_newest_timestamp_seconds{database="a \"b\"",pg_instance="db1"} 1.772362801e+09
pgharbor_run_newest_timestamp_seconds{database="shop",pg_instance="db1"} 1.77236289e+09
# HELP pgharbor_run_under_way_timestamp_seconds When the run began that is under way.
# TYPE pgharbor_run_under_way_timestamp_seconds gauge
pgharbor_run_under_way_timestamp_seconds{database="shop",pg_instance="db1"} 1.7723664e+09
# HELP pgharbor_transfers_open Downloads that are under way.
# TYPE pgharbor_transfers_open gauge
pgharbor_transfers_open 1
`

// Dashboards and alert rules are written against these names and labels.
func TestMetricsOfAFleet(t *testing.T) {
	metrics, c := collector(t)
	invite(t, c, "db1", now)
	invite(t, c, "db2", time.Time{})
	free := int64(4096)
	status := fleet.AgentStatus{
		BackupsEnabled: true, NextRunAt: now.Add(time.Hour), NextPurgeAt: now.Add(2 * time.Hour), FreeBytes: &free,
		CertificateEndsAt: now.AddDate(0, 0, 20), CertificateLife: 30 * 24 * time.Hour,
	}
	if err := c.Agents.RecordStatus(t.Context(), "db1", "1", status, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Agents.RecordClock(t.Context(), "db1", -250*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	hour := now.Add(-time.Hour)
	record(t, c, fleet.Run{
		ID: fleet.NewID(), Instance: "db1", Database: "shop", State: fleet.RunSucceeded, StartedAt: hour, FinishedAt: hour.Add(90 * time.Second),
	}, &fleet.Backup{ID: fleet.NewID(), Instance: "db1", Database: "shop", CreatedAt: hour, Complete: true, SizeBytes: 1234,
		Manifest: fleet.Manifest{PlainSizeBytes: 5678}})
	record(t, c, fleet.Run{ID: fleet.NewID(), Instance: "db1", Database: "shop", State: fleet.RunRunning, StartedAt: now}, nil)
	record(t, c, fleet.Run{
		ID: fleet.NewID(), Instance: "db1", Database: `a "b"`, Trigger: "schedule", State: fleet.RunFailed, StartedAt: hour, FinishedAt: hour.Add(time.Second),
	}, nil)

	scraped := scrape(t, metrics)
	if diff := cmp.Diff(strings.TrimLeft(metricsOfAFleet, "\n"), scraped); diff != "" {
		t.Error(diff)
	}
	problems, err := promlint.New(strings.NewReader(scraped)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// A scrape of a control plane whose catalog is gone says so, and is no error:
// an alert can tell it from a control plane that is down.
func TestMetricsWithoutACatalog(t *testing.T) {
	metrics, c := collector(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if scraped := scrape(t, metrics); !strings.Contains(scraped, "\npgharbor_catalog_up 0\n") {
		t.Error(scraped)
	}
}

func TestReportIsWorstFirstAndHealthyOnlyIfAllAre(t *testing.T) {
	metrics, c := collector(t)
	evaluator := metrics.Evaluator
	if report, err := evaluator.Fleet(t.Context(), health.Query{}); err != nil || !report.Healthy {
		t.Errorf("an empty fleet: %+v, %v", report, err)
	}
	good := fleet.Backup{ID: fleet.NewID(), Instance: "a-good", Database: "shop", CreatedAt: now, Complete: true}
	invite(t, c, "a-good", now)
	record(t, c, fleet.Run{ID: fleet.NewID(), Instance: "a-good", Database: "shop", State: fleet.RunSucceeded, StartedAt: now, FinishedAt: now}, &good)
	if report, err := evaluator.Fleet(t.Context(), health.Query{}); err != nil || !report.Healthy || len(report.Statuses) != 1 {
		t.Errorf("one good instance: %+v, %v", report, err)
	}
	invite(t, c, "b-unknown", time.Time{})
	invite(t, c, "c-failed", now)
	record(t, c, fleet.Run{ID: fleet.NewID(), Instance: "c-failed", Database: "shop", Trigger: "schedule", State: fleet.RunFailed, StartedAt: now, FinishedAt: now}, nil)
	report, err := evaluator.Fleet(t.Context(), health.Query{})
	if err != nil || report.Healthy || len(report.Statuses) != 3 {
		t.Fatalf("got %+v, %v", report, err)
	}
	for i, want := range []string{"c-failed", "b-unknown", "a-good"} {
		if got := report.Statuses[i].Instance; got != want {
			t.Errorf("%d is %s, want %s", i, got, want)
		}
	}
	if report, err := evaluator.Fleet(t.Context(), health.Query{Instance: "a-good"}); err != nil || !report.Healthy {
		t.Errorf("the good one alone: %+v, %v", report, err)
	}
}

// What is to be passed over alarms nobody, and counts as nothing that is well.
func TestIgnoredIsHealthyAndNotOK(t *testing.T) {
	metrics, c := collector(t)
	invite(t, c, "db1", now)
	status := fleet.AgentStatus{BackupsEnabled: true, Databases: []fleet.InstanceDatabase{{Name: "scratch", Covered: true}}}
	if err := c.Agents.RecordStatus(t.Context(), "db1", "1", status, now); err != nil {
		t.Fatal(err)
	}
	if err := c.Thresholds.Set(t.Context(), fleet.ThresholdRule{Pattern: "db1/scratch", Thresholds: fleet.Thresholds{Ignore: true}, SetAt: now}); err != nil {
		t.Fatal(err)
	}
	report, err := metrics.Evaluator.Fleet(t.Context(), health.Query{})
	if err != nil || !report.Healthy || len(report.Statuses) != 1 || report.Statuses[0].Verdict != fleet.VerdictIgnored {
		t.Errorf("got %+v, %v", report, err)
	}
	if scraped := scrape(t, metrics); !strings.Contains(scraped, `pgharbor_database_verdict{database="scratch",pg_instance="db1",verdict="IGNORED"} 1`) {
		t.Error(scraped)
	}
}
