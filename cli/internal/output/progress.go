package output

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const redrawEvery = 200 * time.Millisecond

// Progress is one line on a terminal that is drawn over and over: what is being done, how much of it, how fast, and how
// long it still takes. It draws when it is told of progress and needs no goroutine, and its rate does not count what an
// earlier attempt had already done. On anything but a terminal it writes nothing.
type Progress struct {
	w     io.Writer
	now   func() time.Time
	phase string
	// Where this phase was first seen, for the rate.
	since     time.Time
	sinceDone int64
	drawn     time.Time
	width     int
}

// NewProgress returns a progress line on w, which shows nothing unless w is a terminal.
func NewProgress(w io.Writer, now func() time.Time) *Progress {
	if !IsTerminal(w) {
		w = nil
	}
	return &Progress{w: w, now: now}
}

// IsTerminal returns whether a reader or writer is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Set reports progress in bytes. Total is zero if it is not known.
func (p *Progress) Set(phase string, done, total int64) { p.SetTables(phase, done, total, 0, 0) }

// SetTables is Set with the number of tables that are done, and of all; both are zero if tables are not counted.
func (p *Progress) SetTables(phase string, done, total, tables, ofTables int64) {
	if p.w == nil {
		return
	}
	now := p.now()
	if phase != p.phase || done < p.sinceDone {
		p.phase, p.since, p.sinceDone, p.drawn = phase, now, done, time.Time{}
	}
	if now.Sub(p.drawn) < redrawEvery && (done != total || ofTables > 0 && tables != ofTables) {
		return
	}
	p.drawn = now
	p.draw(withTables(Line(phase), progressLine(Line(phase), done, total, rate(done-p.sinceDone, now.Sub(p.since))), tables, ofTables))
}

// withTables adds to a line how many tables are done, if that is known.
func withTables(phase, line string, tables, ofTables int64) string {
	if ofTables == 0 {
		return line
	}
	if strings.HasSuffix(line, "…") { // no bytes are told of
		return fmt.Sprintf("%s  %d of %d tables", phase, tables, ofTables)
	}
	return fmt.Sprintf("%s, %d of %d tables", line, tables, ofTables)
}

// Clear takes the line away, so that something else can be written.
func (p *Progress) Clear() {
	if p.w != nil && p.width > 0 {
		p.draw("")
		fmt.Fprint(p.w, "\r")
		p.drawn = time.Time{}
	}
}

func (p *Progress) draw(line string) {
	width := len([]rune(line))
	fmt.Fprint(p.w, "\r", line, strings.Repeat(" ", max(p.width-width, 0)))
	p.width = width
}

// rate is in bytes a second; zero until it can be told.
func rate(done int64, in time.Duration) float64 {
	if in < redrawEvery {
		return 0
	}
	return float64(done) / in.Seconds()
}

func progressLine(phase string, done, total int64, perSecond float64) string {
	if done == 0 && total == 0 {
		return phase + "…"
	}
	line := phase + "  " + Bytes(done)
	if total > 0 {
		line += fmt.Sprintf(" of %s, %d%%", Bytes(total), done*100/total)
	}
	if perSecond <= 0 {
		return line
	}
	line += fmt.Sprintf(", %s/s", Bytes(int64(perSecond)))
	if left := total - done; left > 0 {
		line += ", " + Duration(time.Duration(float64(left)/perSecond*float64(time.Second))) + " left"
	}
	return line
}
