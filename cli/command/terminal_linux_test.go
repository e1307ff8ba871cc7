package command

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// terminal is a real one, with a person who types the answers in turn, each when the question before it has been put.
type terminal struct {
	tty   *os.File
	mu    sync.Mutex
	shown bytes.Buffer
	done  chan struct{}
}

func newTerminal(t *testing.T, answers ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{tty: tty, done: make(chan struct{})}
	t.Cleanup(func() { tty.Close(); <-term.done; master.Close() })
	go term.person(master, answers)
	return term
}

// person reads until the command has let go of the terminal.
func (term *terminal) person(master *os.File, answers []string) {
	defer close(term.done)
	buffer := make([]byte, 1024)
	for {
		n, err := master.Read(buffer)
		term.mu.Lock()
		term.shown.Write(buffer[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
		if len(answers) > 0 && strings.HasSuffix(string(buffer[:n]), ": ") {
			if _, err := io.WriteString(master, answers[0]+"\n"); err != nil {
				return
			}
			answers = answers[1:]
		}
	}
}

// run runs a command line on the terminal; its result is what it printed.
func (term *terminal) run(t *testing.T, f *fleet, args ...string) (code int, stdout, shown string) {
	t.Helper()
	var out bytes.Buffer
	code = f.app(term.tty, &out, term.tty).execute(t.Context(), args)
	term.tty.Close()
	<-term.done
	return code, out.String(), term.shown.String()
}

func TestRestoreAsksOnATerminal(t *testing.T) {
	f := loggedIn(t)
	f.backups = sampleBackups()
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.restore = &pgharborv1.Restore{Id: "job1", State: "succeeded"}
	code, _, shown := newTerminal(t, "new", "a drill").run(t, f, "restore", "id1", "--to-database", "new")
	if code != exit.Done || !strings.Contains(shown, "restores shop of shop-db") {
		t.Errorf("exit code %d, shown %q", code, shown)
	}
	if len(f.restored) != 1 || f.restored[0].GetConfirm() != "new" || f.restored[0].GetReason() != "a drill" {
		t.Errorf("asked for %v", f.restored)
	}
}

func TestRestoreTakesNoOtherAnswer(t *testing.T) {
	for _, answers := range [][]string{{"old"}, {""}, {"new", ""}} {
		f := loggedIn(t)
		f.backups = sampleBackups()
		code, _, shown := newTerminal(t, answers...).run(t, f, "restore", "id1", "--to-database", "new")
		if code != exit.Usage || len(f.restored) != 0 {
			t.Errorf("%q: exit code %d, shown %q", answers, code, shown)
		}
	}
}

func TestThePassphraseIsAskedForAndNotShown(t *testing.T) {
	f := loggedIn(t)
	f.offerSealed(t, dump(), false, "open sesame")
	code, stdout, shown := newTerminal(t, "open sesame").run(t, f, "download", "id1", "--decrypt", "--output", t.TempDir())
	if code != exit.Done || !strings.Contains(stdout, "decrypted") {
		t.Errorf("exit code %d, shown %q", code, shown)
	}
	if strings.Contains(shown, "sesame") {
		t.Errorf("shown: %q", shown)
	}
	if !strings.Contains(shown, "100 KiB") && !strings.Contains(shown, "98 KiB") {
		t.Errorf("no progress is shown on a terminal: %q", shown)
	}
}
