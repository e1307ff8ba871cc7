package catalog_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// What health, the alerts and each scrape of the metrics ask of a catalog: 500
// agents with 20 databases of 100 tables, and a fortnight of backups.
func BenchmarkFactsOfALargeFleet(b *testing.B) {
	path := filepath.Join(b.TempDir(), "catalog.db")
	c, err := catalog.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const agents, databases, days = 500, 20, 14
	var manifest fleet.Manifest
	for n := range 100 {
		manifest.Tables = append(manifest.Tables, fleet.TableRows{Schema: "public", Name: fmt.Sprintf("table_%d", n), Rows: 12345})
	}
	manifest.PlainSizeBytes = 1000
	var status fleet.AgentStatus
	for n := range databases {
		status.Databases = append(status.Databases, fleet.InstanceDatabase{Name: fmt.Sprintf("shop%d", n), Covered: true})
	}
	text := func(of any) string {
		content, err := json.Marshal(of)
		if err != nil {
			b.Fatal(err)
		}
		return string(content)
	}
	statusText, manifestText := text(status), text(manifest)
	db := raw(b, path)
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	insert := func(row string, args ...any) {
		if _, err := tx.Exec(`INSERT INTO `+row, args...); err != nil {
			b.Fatal(err)
		}
	}
	for n := range agents {
		instance := fmt.Sprintf("db%d", n)
		insert(`agents (name, created_at, enrolled_at, last_seen_at, version, status) VALUES (?, ?2, ?2, ?2, '1', ?3)`, instance, now.UnixMicro(), statusText)
		for _, d := range status.Databases {
			for day := range days {
				at := now.Add(-time.Duration(day)*24*time.Hour - time.Hour).UnixMicro()
				insert(`runs (id, instance, database, trigger, state, started_at, finished_at) VALUES (?, ?, ?, 'schedule', 'succeeded', ?4, ?4 + 60000000)`,
					fleet.NewID(), instance, d.Name, at)
				insert(`backups (id, instance, database, state, created_at, complete, size_bytes, manifest) VALUES (?, ?, ?, 'present', ?, 1, 1000, ?)`,
					fleet.NewID(), instance, d.Name, at, manifestText)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		facts, err := c.Facts(b.Context(), now)
		if err != nil || len(facts) != agents*databases || facts[0].NewestBackup == nil || len(facts[0].Sizes) != 7 {
			b.Fatalf("%d databases, %v", len(facts), err)
		}
	}
}
