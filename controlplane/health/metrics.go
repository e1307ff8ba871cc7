package health

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// scrapeWithin bounds what one scrape may ask of the catalog.
const scrapeWithin = 10 * time.Second

var (
	perDatabase = []string{"pg_instance", "database"}
	perAgent    = []string{"pg_instance"}

	verdictDesc         = prometheus.NewDesc("pgharbor_database_verdict", "1 for the verdict that health gives the database.", append(perDatabase, "verdict"), nil)
	reasonDesc          = prometheus.NewDesc("pgharbor_database_reason", "1 for each verdict that health has a reason for; the worst is the database's.", append(perDatabase, "verdict"), nil)
	newestDesc          = prometheus.NewDesc("pgharbor_backup_newest_timestamp_seconds", "When the newest good backup of the database was made.", perDatabase, nil)
	sizeDesc            = prometheus.NewDesc("pgharbor_backup_newest_size_bytes", "The stored size of the newest good backup.", perDatabase, nil)
	plainDesc           = prometheus.NewDesc("pgharbor_backup_newest_plain_size_bytes", "The size of the newest good backup's dump, before compression and encryption.", perDatabase, nil)
	ranDesc             = prometheus.NewDesc("pgharbor_run_newest_timestamp_seconds", "When the newest run ended.", perDatabase, nil)
	succeededDesc       = prometheus.NewDesc("pgharbor_run_newest_succeeded", "1 if the newest run succeeded, 0 if it failed.", perDatabase, nil)
	durationDesc        = prometheus.NewDesc("pgharbor_run_newest_duration_seconds", "How long the newest run took.", perDatabase, nil)
	runningDesc         = prometheus.NewDesc("pgharbor_run_under_way_timestamp_seconds", "When the run began that is under way.", perDatabase, nil)
	lastTestRestoreDesc = prometheus.NewDesc("pgharbor_proof_newest_timestamp_seconds", "When the newest test restore of a backup of the database ended.", perDatabase, nil)
	testRestoreDesc     = prometheus.NewDesc("pgharbor_proof_newest_succeeded", "1 if the newest test restore found all that was dumped, 0 if not.", perDatabase, nil)
	restoreDesc         = prometheus.NewDesc("pgharbor_restore_expected_duration_seconds", "How long the newest test restore that succeeded took.", perDatabase, nil)

	seenDesc        = prometheus.NewDesc("pgharbor_agent_last_seen_timestamp_seconds", "When the agent of the instance was heard of last.", perAgent, nil)
	nextRunDesc     = prometheus.NewDesc("pgharbor_agent_next_run_timestamp_seconds", "When the agent's next scheduled run is due.", perAgent, nil)
	nextPurgeDesc   = prometheus.NewDesc("pgharbor_agent_next_purge_timestamp_seconds", "When the agent's retention works next.", perAgent, nil)
	clockDesc       = prometheus.NewDesc("pgharbor_agent_clock_offset_seconds", "How far the agent's clock is ahead of the control plane's.", perAgent, nil)
	freeDesc        = prometheus.NewDesc("pgharbor_agent_backup_folder_free_bytes", "What the disk of the agent's backup folder has left.", perAgent, nil)
	certificateDesc = prometheus.NewDesc("pgharbor_agent_certificate_end_timestamp_seconds", "When the agent's certificate ends.", perAgent, nil)

	upDesc        = prometheus.NewDesc("pgharbor_catalog_up", "1 if the catalog answered this scrape.", nil, nil)
	latencyDesc   = prometheus.NewDesc("pgharbor_catalog_read_duration_seconds", "How long the catalog took to answer this scrape.", nil, nil)
	connectedDesc = prometheus.NewDesc("pgharbor_agents_connected", "Agents that have a session now.", nil, nil)
	transfersDesc = prometheus.NewDesc("pgharbor_transfers_open", "Downloads that are under way.", nil, nil)
)

// Collector reports the statuses of the moment as Prometheus metrics.
type Collector struct {
	Evaluator *Evaluator
	Log       *slog.Logger
	Connected func() int
	Transfers func() int
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		verdictDesc, reasonDesc, newestDesc, sizeDesc, plainDesc, ranDesc, succeededDesc, durationDesc, runningDesc, lastTestRestoreDesc, testRestoreDesc, restoreDesc,
		seenDesc, nextRunDesc, nextPurgeDesc, clockDesc, freeDesc, certificateDesc,
		upDesc, latencyDesc, connectedDesc, transfersDesc,
	} {
		out <- desc
	}
}

// gauges sends the value of a gauge, with its labels.
type gauges func(desc *prometheus.Desc, value float64, labels ...string)

// at leaves out a time that is not known.
func (g gauges) at(desc *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		g(desc, float64(t.UnixMicro())/1e6, labels...)
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	gauge := gauges(func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	})
	gauge(connectedDesc, float64(c.Connected()))
	gauge(transfersDesc, float64(c.Transfers()))
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	asked := c.Evaluator.Now()
	report, err := c.Evaluator.Fleet(ctx, Query{})
	gauge(latencyDesc, c.Evaluator.Now().Sub(asked).Seconds())
	if err != nil {
		c.Log.Error("the catalog did not answer a scrape", "error", err)
		gauge(upDesc, 0)
		return
	}
	gauge(upDesc, 1)
	told := map[string]bool{}
	for _, j := range report.Statuses {
		if !told[j.Instance] {
			told[j.Instance] = true
			collectAgent(gauge, j.Instance, j.Agent)
		}
		collectDatabase(gauge, j)
	}
}

func collectAgent(gauge gauges, instance string, a fleet.AgentFacts) {
	if a.LastSeenAt.IsZero() {
		return
	}
	gauge.at(seenDesc, a.LastSeenAt, instance)
	gauge.at(nextRunDesc, a.Status.NextRunAt, instance)
	gauge.at(nextPurgeDesc, a.Status.NextPurgeAt, instance)
	gauge.at(certificateDesc, a.Status.CertificateEndsAt, instance)
	gauge(clockDesc, a.ClockOffset.Seconds(), instance)
	if free := a.Status.FreeBytes; free != nil {
		gauge(freeDesc, float64(*free), instance)
	}
}

func collectDatabase(gauge gauges, j *fleet.DatabaseStatus) {
	gauge(verdictDesc, 1, j.Instance, j.Database, string(j.Verdict))
	told := map[fleet.Verdict]bool{}
	for _, r := range j.Reasons {
		if !told[r.Verdict] {
			told[r.Verdict] = true
			gauge(reasonDesc, 1, j.Instance, j.Database, string(r.Verdict))
		}
	}
	if b := j.NewestBackup; b != nil {
		gauge.at(newestDesc, b.CreatedAt, j.Instance, j.Database)
		gauge(sizeDesc, float64(b.SizeBytes), j.Instance, j.Database)
		if plain := b.Manifest.PlainSizeBytes; plain > 0 {
			gauge(plainDesc, float64(plain), j.Instance, j.Database)
		}
	}
	if p := j.TestRestored; p != nil {
		gauge.at(lastTestRestoreDesc, p.TestRestore.FinishedAt, j.Instance, j.Database)
		gauge(testRestoreDesc, truth(p.TestRestore.State == fleet.TestRestoreSucceeded), j.Instance, j.Database)
	}
	if j.RestoreTakes > 0 {
		gauge(restoreDesc, j.RestoreTakes.Seconds(), j.Instance, j.Database)
	}
	if r := j.Running; r != nil {
		gauge.at(runningDesc, r.StartedAt, j.Instance, j.Database)
	}
	if r := j.NewestRun; r != nil {
		gauge.at(ranDesc, r.FinishedAt, j.Instance, j.Database)
		gauge(succeededDesc, truth(r.State == fleet.RunSucceeded), j.Instance, j.Database)
		gauge(durationDesc, r.FinishedAt.Sub(r.StartedAt).Seconds(), j.Instance, j.Database)
	}
}

// truth is a yes or no as Prometheus has it.
func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
