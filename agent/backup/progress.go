package backup

import (
	"io"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// Phases of a Progress.
const (
	PhaseDump    = "dump"
	PhaseVerify  = "verify"
	PhaseRestore = "restore"
	PhaseAnalyze = "analyze"
	PhaseCompare = "compare" // the rows of every table
	PhaseSwap    = "swap"    // the databases
)

// progressInterval is how often a phase is reported.
const progressInterval = 500 * time.Millisecond

// Progress says how far a run is. TotalBytes is 0 where the end is not known; of a dump it is the size of the one before.
type Progress struct {
	Phase      string
	DoneBytes  int64
	TotalBytes int64
	// Tables; both are 0 where they are not told apart.
	DoneObjects  int64
	TotalObjects int64
}

// reporter passes the progress of one phase on, now and then. It is safe for concurrent use.
type reporter struct {
	mu     sync.Mutex
	report func(Progress)
	now    func() time.Time
	state  Progress
	last   time.Time
}

// clock tells the time.
type clock func() time.Time

// listener hears of a restore while it is under way.
type listener struct {
	clock      clock
	onProgress func(Progress) // may be nil
	onWarning  func(string)   // may be nil
}

func (l listener) begin(phase string, total int64) *reporter {
	return l.clock.begin(l.onProgress, phase, total)
}

// warn tells what the restored database lacks.
func (l listener) warn(text string) {
	if l.onWarning != nil {
		l.onWarning(text)
	}
}

// begin reports the begin of a phase.
func (now clock) begin(report func(Progress), phase string, total int64) *reporter {
	if report == nil {
		report = func(Progress) {}
	}
	r := &reporter{report: report, now: now, state: Progress{Phase: phase, TotalBytes: total}, last: now()}
	report(r.state)
	return r
}

// of sets how many tables there are.
func (r *reporter) of(objects int) *reporter {
	r.state.TotalObjects = int64(objects)
	r.report(r.state)
	return r
}

// end tells that all of it is done, at once.
func (r *reporter) end() {
	r.state.DoneBytes, r.state.DoneObjects = r.state.TotalBytes, r.state.TotalObjects
	r.report(r.state)
}

// object tells that a table is done.
func (r *reporter) object() {
	r.mu.Lock()
	r.state.DoneObjects++
	r.mu.Unlock()
	r.add(0)
}

// restart tells that the phase begins again.
func (r *reporter) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.DoneBytes, r.state.DoneObjects = 0, 0
	r.report(r.state)
}

func (r *reporter) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.DoneBytes += int64(n)
	if now := r.now(); now.Sub(r.last) >= progressInterval {
		r.last = now
		r.report(r.state)
	}
}

// tableTeller returns what a dump is to be shown as it goes by, to tell of each table that is done. Of an archive it can't
// be told.
func tableTeller(format string, progress *reporter) io.Writer {
	if format != postgres.FormatPlain {
		return io.Discard
	}
	scanner := scan.NewScanner()
	scanner.Copied = progress.object
	return scanner
}
