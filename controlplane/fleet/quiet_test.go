package fleet_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// database is one that lives an unremarkable life.
type database struct {
	plain    float64 // bytes
	growth   float64 // a day
	noise    float64 // of a day's size
	took     time.Duration
	sizes    []fleet.Size
	run      fleet.Run
	newest   *fleet.Backup
	finished time.Time
}

// backUp is the night's run, which begins on time, more or less, and takes as long
// as ever, more or less.
func (d *database) backUp(due time.Time, random *rand.Rand) {
	begun := due.Add(time.Duration(random.Int64N(int64(5 * time.Minute))))
	d.finished = begun.Add(time.Duration(float64(d.took) * (0.5 + random.Float64())))
	d.plain *= 1 + d.growth
	plain := d.plain * (1 + d.noise*(2*random.Float64()-1))
	made := &fleet.Backup{CreatedAt: begun, SizeBytes: int64(plain / 5), Complete: true, Manifest: fleet.Manifest{PlainSizeBytes: int64(plain)}}
	if d.newest != nil {
		d.sizes = append(d.sizes, fleet.SizeOf(*d.newest))
	}
	d.sizes = slices.DeleteFunc(d.sizes, func(s fleet.Size) bool { return s.At.Before(begun.Add(-fleet.SizeWindow)) })
	d.newest = made
	d.run = fleet.Run{State: fleet.RunSucceeded, StartedAt: begun, FinishedAt: d.finished}
}

// facts are what the catalog would know at a moment.
func (d *database) facts(now, next time.Time, random *rand.Rand) fleet.Facts {
	free := int64(1 << 40)
	f := fleet.Facts{
		Instance: "db", Database: "shop", Exists: true, Covered: true,
		Agent: fleet.AgentFacts{
			// A heartbeat is late now and then, and one gets lost.
			LastSeenAt: now.Add(-time.Duration(random.Int64N(int64(2*heartbeat + heartbeat/2)))),
			// NTP holds a clock within a second.
			ClockOffset: time.Duration(random.Int64N(int64(2*time.Second))) - time.Second,
			Status: fleet.AgentStatus{
				BackupsEnabled: true, NextRunAt: next, ServerVersion: "15.18", DumpVersion: "15.18", FreeBytes: &free,
				CertificateEndsAt: now.Add(10*24*time.Hour + time.Duration(random.Int64N(int64(20*24*time.Hour)))), CertificateLife: 30 * 24 * time.Hour,
			},
		},
		Sizes: d.sizes, NewestRun: &d.run, NewestBackup: d.newest, LongestRun: 2 * d.took,
	}
	if now.Before(d.finished) && now.After(d.run.StartedAt) {
		running := d.run
		f.Running, f.Agent.Busy = &running, true
	}
	return f
}

// 200 databases over 60 days, each with the growth and the noise that a day brings:
// nobody is woken. The seed of a failure is in its message.
func TestAQuietFleetAlarmsNobody(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for n := range 200 {
		d := &database{
			plain: math.Exp(random.Float64()*16) * 1e4, // 10 kB to 90 GB
			// 1 % a day is thirty-seven times as much after a year.
			growth: random.Float64() * 0.01, noise: random.Float64() * 0.08,
			took: time.Duration(float64(time.Second) * math.Exp(random.Float64()*8)), // to an hour and a half
		}
		d.backUp(begin.Add(-23*time.Hour), random)
		for hour := range 60 * 24 {
			at := begin.Add(time.Duration(hour) * time.Hour)
			due := at.Truncate(24 * time.Hour).Add(time.Hour)
			if at.Equal(due) {
				d.backUp(due, random)
			}
			now := at.Add(time.Duration(random.Int64N(int64(59 * time.Minute)))).Add(10 * time.Minute)
			next := due
			if !now.Before(due) {
				next = due.Add(24 * time.Hour)
			}
			if j := fleet.Evaluate(d.facts(now, next, random), fleet.DefaultThresholds, now, heartbeat); j.Verdict != fleet.VerdictOK {
				t.Fatalf("seed %d, database %d, day %d: %s: %+v", seed, n, hour/24, j.Verdict, j.Reasons)
			}
		}
	}
}
