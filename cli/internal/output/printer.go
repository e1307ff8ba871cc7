package output

import (
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
)

// Printer writes what a command has to say: its result to standard output, in the format that was asked for, and what
// is for a person alone to standard error.
type Printer struct {
	Stdout, Stderr io.Writer
	Format         Format
	// Now also gives the zone in which times are shown.
	Now func() time.Time
}

// Print writes the message as JSON if that was asked for, else it calls asTable.
func (p *Printer) Print(message proto.Message, asTable func() error) error {
	if p.Format == FormatJSON {
		return JSON(p.Stdout, message)
	}
	return asTable()
}

// Say writes a line for a person.
func (p *Printer) Say(format string, args ...any) {
	fmt.Fprintf(p.Stderr, format+"\n", args...)
}

// Progress returns a progress line for a person; anyone who asks for it clears it.
func (p *Printer) Progress() *Progress { return NewProgress(p.Stderr, p.Now) }
