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
	perDatabase   = []string{"instance", "database"}
	verdictDesc   = prometheus.NewDesc("pgharbor_database_verdict", "1 for the verdict that health gives the database.", append(perDatabase, "verdict"), nil)
	newestDesc    = prometheus.NewDesc("pgharbor_backup_newest_timestamp_seconds", "When the newest good backup of the database was made.", perDatabase, nil)
	sizeDesc      = prometheus.NewDesc("pgharbor_backup_newest_size_bytes", "The stored size of the newest good backup.", perDatabase, nil)
	succeededDesc = prometheus.NewDesc("pgharbor_run_newest_succeeded", "1 where the newest run succeeded, 0 where it failed.", perDatabase, nil)
	durationDesc  = prometheus.NewDesc("pgharbor_run_newest_duration_seconds", "How long the newest run took.", perDatabase, nil)
	seenDesc      = prometheus.NewDesc("pgharbor_agent_last_seen_timestamp_seconds", "When the agent of the instance was heard of last.", []string{"instance"}, nil)
	upDesc        = prometheus.NewDesc("pgharbor_catalog_up", "1 where the catalog answered this scrape.", nil, nil)
	connectedDesc = prometheus.NewDesc("pgharbor_agents_connected", "Agents that have a session now.", nil, nil)
	transfersDesc = prometheus.NewDesc("pgharbor_transfers_open", "Downloads that are under way.", nil, nil)
)

// Collector reports the judgements of the moment as Prometheus metrics.
type Collector struct {
	Judge     *Judge
	Log       *slog.Logger
	Connected func() int
	Transfers func() int
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		verdictDesc, newestDesc, sizeDesc, succeededDesc, durationDesc, seenDesc, upDesc, connectedDesc, transfersDesc,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(connectedDesc, float64(c.Connected()))
	gauge(transfersDesc, float64(c.Transfers()))
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	report, err := c.Judge.Fleet(ctx, Query{})
	if err != nil {
		c.Log.Error("the catalog did not answer a scrape", "error", err)
		gauge(upDesc, 0)
		return
	}
	gauge(upDesc, 1)
	seen := map[string]bool{}
	for _, j := range report.Judgements {
		if !seen[j.Instance] && !j.Agent.LastSeenAt.IsZero() {
			seen[j.Instance] = true
			gauge(seenDesc, seconds(j.Agent.LastSeenAt), j.Instance)
		}
		collectDatabase(gauge, j)
	}
}

func collectDatabase(gauge func(*prometheus.Desc, float64, ...string), j fleet.Judgement) {
	gauge(verdictDesc, 1, j.Instance, j.Database, string(j.Verdict))
	if b := j.NewestBackup; b != nil {
		gauge(newestDesc, seconds(b.CreatedAt), j.Instance, j.Database)
		gauge(sizeDesc, float64(b.SizeBytes), j.Instance, j.Database)
	}
	if r := j.NewestRun; r != nil {
		succeeded := 0.0
		if r.State == fleet.RunSucceeded {
			succeeded = 1
		}
		gauge(succeededDesc, succeeded, j.Instance, j.Database)
		gauge(durationDesc, r.FinishedAt.Sub(r.StartedAt).Seconds(), j.Instance, j.Database)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
