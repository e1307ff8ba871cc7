package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	// patience bounds every wait of a script. It only matters when something is
	// broken.
	patience = 90 * time.Second
	retry    = 100 * time.Millisecond
)

// commands are those that the scripts have beyond testscript's own.
func (s *stage) commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"eventually": eventually,
		"exits":      exits,
		"field":      field,
		"flip":       flip,
		"cut":        cut,
		"postgres":   s.postgres,
	}
}

// eventually [!] PATTERN PROGRAM ARGS... runs a program again and again until it
// exits 0 and its output matches (or with !, does not match) the pattern.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	absent := len(args) > 0 && args[0] == "!"
	if absent {
		args = args[1:]
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually [!] PATTERN PROGRAM ARGS...")
	}
	pattern := regexp.MustCompile(args[0])
	deadline, ticker := time.After(patience), time.NewTicker(retry)
	defer ticker.Stop()
	for {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) != absent {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			ts.Fatalf("%s: not within %s; the last time it gave %v and\n%s%s",
				strings.Join(args, " "), patience, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

// exits CODE PROGRAM ARGS... runs a program that is to end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		coded, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		got = coded.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

// field NAME PATH sets a variable to a field of the JSON that the last program
// printed: backups.0.id.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME PATH")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for _, step := range strings.Split(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: there are only %d", args[1], len(v))
			}
			value = v[i]
		default:
			ts.Fatalf("%s: nothing at %s", args[1], step)
		}
	}
	if value == nil {
		ts.Fatalf("%s: nothing there", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// flip FILE changes one bit in the middle of a file, as a bad disk does.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	content := []byte(ts.ReadFile(args[0]))
	content[len(content)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o600))
}

// cut FILE drops the second half of a file.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	content := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(content[:len(content)/2]), 0o600))
}

// postgres stop|start takes the server away and brings it back.
func (s *stage) postgres(ts *testscript.TestScript, _ bool, args []string) {
	switch strings.Join(args, " ") {
	case "stop":
		s.server.Stop()
	case "start":
		ts.Check(s.server.Restart())
	default:
		ts.Fatalf("usage: postgres stop|start")
	}
}
