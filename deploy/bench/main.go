// Command bench measures pgharbor against the shell commands that it replaces.
// deploy/bench/bench.sh (make bench) builds the database, starts what it needs
// and runs it; the tables that it prints are quoted in docs/benchmarks.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// contest is a job done by pgharbor and by something else.
type contest struct {
	job  string
	ours command
	// theirs are the commands compared with, each with the ratio aimed at.
	theirs []rival
}

type rival struct {
	command
	goal float64 // 0: there is none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	b := &bench{}
	rounds := flag.Int("rounds", 5, "measured rounds")
	flag.StringVar(&b.folder, "folder", "", "where to write")
	flag.StringVar(&b.backupID, "backup", "", "a listed backup of the database bench, for the download")
	flag.StringVar(&b.stored, "stored", "", "its file")
	flag.StringVar(&b.custom, "custom", "", "the file of a sealed backup of it in the custom format")
	flag.StringVar(&b.fetch, "fetch", "", "a shell command that copies $1 to $2 over loopback, encrypted")
	flag.StringVar(&b.fetchName, "fetch-name", "", "what to call it")
	agent := flag.Int("agent", 0, "process id of the agent")
	controlplane := flag.Int("controlplane", 0, "process id of the control plane")
	flag.Parse()

	contests := []contest{
		{"backup, sealed", b.agentBackup("bench", "none"), []rival{{b.pipelineBackup("bench"), 0.85}}},
		{"backup, sealed, zstd", b.agentBackup("bench", "zstd"), []rival{{b.customDump(), 0.35}, {b.dumpToNothing(), 1.35}}},
		{"restore, verified", b.agentRestore(b.stored), []rival{{b.pipelineRestore(b.stored), 1.10}}},
		{"restore, custom format", b.agentRestore(b.custom), []rival{{b.directoryRestore("directory"), 1.00}, {b.directoryRestore("directory-plain"), 0}}},
		{"test restore", b.agentVerify(b.stored), []rival{{b.pipelineRestore(b.stored), 0}}},
		{"download", b.download(), []rival{{b.copyOver(), 1.00}}},
	}
	results, err := compete(ctx, contests, *rounds)
	if err != nil {
		return err
	}
	printSpeed(contests, results)
	fmt.Printf("| the agent's daemon, after the downloads | %.1f | | |\n", float64(peakOf(*agent))/1024)
	fmt.Printf("| the control plane's, likewise | %.1f | | |\n", float64(peakOf(*controlplane))/1024)

	memory, err := b.memory(ctx)
	if err != nil {
		return err
	}
	printMemory(memory)
	return nil
}

// compete runs every command once a round, in turn, so that a slow minute of the machine
// hits all of them alike. A first round warms the caches and is dropped.
func compete(ctx context.Context, contests []contest, rounds int) (map[string][]sample, error) {
	results := map[string][]sample{}
	for round := range rounds + 1 {
		for _, c := range contests {
			entrants := []command{c.ours}
			for _, r := range c.theirs {
				entrants = append(entrants, r.command)
			}
			for i := range entrants {
				// Every other round goes backwards: nobody always comes first.
				e := entrants[i]
				if round%2 == 1 {
					e = entrants[len(entrants)-1-i]
				}
				s, err := runOnce(ctx, e)
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(os.Stderr, "round %d  %-22s %-38s %7.2f s %6.1f MiB\n", round, c.job, e.name, s.seconds, float64(s.peakKiB)/1024)
				if round > 0 {
					results[c.job+e.name] = append(results[c.job+e.name], s)
				}
			}
		}
	}
	return results, nil
}

func runOnce(ctx context.Context, c command) (sample, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return sample{}, err
		}
	}
	if err := awaitSettled(ctx); err != nil {
		return sample{}, err
	}
	return measure(ctx, c)
}

func printSpeed(contests []contest, results map[string][]sample) {
	fmt.Println("| job | pgharbor | against | takes | ratio | goal |")
	fmt.Println("| --- | ---: | --- | ---: | ---: | ---: |")
	for _, c := range contests {
		ours := medianSeconds(results[c.job+c.ours.name])
		for _, r := range c.theirs {
			theirs := medianSeconds(results[c.job+r.name])
			goal := "–"
			if r.goal > 0 {
				goal = fmt.Sprintf("≤ %.2f", r.goal)
			}
			fmt.Printf("| %s | %.2f s | %s | %.2f s | **%.2f** | %s |\n", c.job, ours, cell(r.name), theirs, ours/theirs, goal)
		}
	}
	fmt.Println("\n| peak resident memory | MiB | against, its largest process | MiB |")
	fmt.Println("| --- | ---: | --- | ---: |")
	for _, c := range contests {
		for _, r := range c.theirs {
			fmt.Printf("| %s | %.1f | %s | %.1f |\n", c.job, peakMiB(results[c.job+c.ours.name]), cell(r.name), peakMiB(results[c.job+r.name]))
		}
	}
}

// cell escapes what would end a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// usage is the agent's peak memory for a database of one size.
type usage struct {
	database                       string
	sizeMiB                        int64
	sealedMiB, zstdMiB, restoreMiB float64
}

// memory measures the agent on databases of very different sizes.
func (b *bench) memory(ctx context.Context) ([]usage, error) {
	var usages []usage
	for _, database := range []string{"bench_small", "bench_large"} {
		size, err := databaseSize(ctx, database)
		if err != nil {
			return nil, err
		}
		u := usage{database: database, sizeMiB: size >> 20}
		for _, m := range []struct {
			compression string
			peak        *float64
		}{{"zstd", &u.zstdMiB}, {"none", &u.sealedMiB}} {
			s, err := runOnce(ctx, b.agentBackup(database, m.compression))
			if err != nil {
				return nil, err
			}
			*m.peak = peakMiB([]sample{s})
		}
		// The backup just made is still there.
		files, err := filepath.Glob(filepath.Join(b.folder, "alone", database, "*.enc"))
		if err != nil {
			return nil, err
		}
		if len(files) != 1 {
			return nil, fmt.Errorf("%d backups of %s, not one", len(files), database)
		}
		s, err := runOnce(ctx, b.agentRestore(files[0]))
		if err != nil {
			return nil, err
		}
		u.restoreMiB = peakMiB([]sample{s})
		usages = append(usages, u)
	}
	return usages, dropRestored(ctx)
}

func printMemory(usages []usage) {
	fmt.Println("\n| the agent's peak resident memory, MiB | database | backup | backup, zstd | restore |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: |")
	for _, u := range usages {
		fmt.Printf("| %s | %d MiB | %.1f | %.1f | %.1f |\n", u.database, u.sizeMiB, u.sealedMiB, u.zstdMiB, u.restoreMiB)
	}
}
