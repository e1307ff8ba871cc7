package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
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
		"another":    s.another,
		"page":       s.page,
		"watch":      watch,
		"nowhere":    nowhere,
		"hook":       hook,
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
		for _, variable := range s.server.Environ() { // it has another port
			if name, value, _ := strings.Cut(variable, "="); name == "PGPORT" {
				ts.Setenv(name, value)
			}
		}
	default:
		ts.Fatalf("usage: postgres stop|start")
	}
}

// another starts a second server; $OTHER_PGHOST and $OTHER_PGPORT lead there.
func (s *stage) another(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: another")
	}
	for _, variable := range postgrestest.Start(s.tb).Environ() {
		if name, value, _ := strings.Cut(variable, "="); name == "PGHOST" || name == "PGPORT" {
			ts.Setenv("OTHER_"+name, value)
		}
	}
}

// hook FILE takes webhooks until the script ends, appends the body of each to the
// file, a line a call, and sets HOOK to its URL.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hook FILE")
	}
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = file.Write(append(body, '\n'))
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(func() { server.Close(); _ = file.Close() })
	ts.Setenv("HOOK", server.URL)
}

// watch SECRET looks at the argument lists of all processes until the script
// ends, and at what the children of pgharbor-agent have in their environment.
func watch(ts *testscript.TestScript, _ bool, args []string) {
	secret, stop, done := []byte(args[0]), make(chan struct{}), make(chan string, 1)
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			if found := exposed(secret); found != "" {
				done <- found
				return
			}
			select {
			case <-stop:
				done <- ""
				return
			case <-ticker.C:
			}
		}
	}()
	ts.Defer(func() {
		close(stop)
		if found := <-done; found != "" {
			ts.Fatalf("the secret was seen in %s", found)
		}
	})
}

// exposed returns where the processes of this moment show a secret.
func exposed(secret []byte) string {
	places, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, place := range places {
		arguments, _ := os.ReadFile(place) // a process that has ended shows nothing
		if bytes.Contains(arguments, secret) {
			return fmt.Sprintf("%s: %q", place, arguments)
		}
		folder := filepath.Dir(place)
		// A script's own psql has the secret, this one's and that of a script next to it.
		if tool := programOf(folder); (tool != "pg_dump" && tool != "psql" && tool != "pg_restore") || programOf(parentOf(folder)) != "pgharbor-agent" {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join(folder, "environ"))
		if bytes.Contains(environment, secret) {
			return fmt.Sprintf("the environment of %q", arguments)
		}
	}
	return ""
}

// programOf returns the name of a process by its folder in /proc.
func programOf(folder string) string {
	arguments, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
	name, _, _ := bytes.Cut(arguments, []byte{0})
	return filepath.Base(string(name))
}

// parentOf returns the folder in /proc of a process's parent.
func parentOf(folder string) string {
	status, _ := os.ReadFile(filepath.Join(folder, "status"))
	_, rest, _ := strings.Cut(string(status), "\nPPid:\t")
	parent, _, _ := strings.Cut(rest, "\n")
	return filepath.Join("/proc", parent)
}

// nowhere SECRET PATH... wants every file below the paths to be without the
// secret, in the clear, in hexadecimal and in base64.
func nowhere(ts *testscript.TestScript, _ bool, args []string) {
	secret := []byte(args[0])
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.StdEncoding.EncodeToString(secret))[:len(secret)]}
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			for _, form := range forms {
				if bytes.Contains(content, form) {
					return fmt.Errorf("%s holds the secret", path)
				}
			}
			return err
		}))
	}
}
