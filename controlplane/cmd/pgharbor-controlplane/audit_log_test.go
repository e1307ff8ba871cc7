package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// inTheAuditLog is what each command leaves there; one that only looks leaves nothing. Anyone who
// adds a command adds its row, and where in the row of commands it makes sense.
var inTheAuditLog = []struct{ command, action, flags string }{
	{"init", "user.invite", ""},
	{"serve", "controlplane.serve", "--listen 127.0.0.1:0 --http-listen="},
	{"ca list", "", ""},
	{"ca rotate", "ca.rotate", ""},
	{"ca retire", "ca.retire", "--force"},
	{"recover-owner", "owner.recover", ""},
	{"audit verify", "", ""},
	{"audit seal", "audit.seal", ""}, // of a control plane that is a year old
}

// aYearOld makes a data folder whose audit log began a year ago, and returns what it takes
// to seal that off.
func aYearOld(t *testing.T) (dir string, flags []string, entries int64) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "old")
	then := time.Now().AddDate(-1, 0, 0)
	_, err := server.Init(t.Context(), server.InitOptions{DataDir: dir, Advertise: "127.0.0.1:1", Owner: "owner", Now: func() time.Time { return then }})
	if err != nil {
		t.Fatal(err)
	}
	return dir, []string{"--year", strconv.Itoa(then.UTC().Year()), filepath.Join(t.TempDir(), "trail.jsonl")}, 2
}

func TestEveryCommandOnTheHostIsInTheAuditLog(t *testing.T) {
	left := map[string]bool{}
	for _, command := range commandsBelow(rootCommand()) {
		left[strings.TrimPrefix(command, "pgharbor-controlplane ")] = true
	}
	dir := filepath.Join(t.TempDir(), "data")
	var before int64
	for _, tt := range inTheAuditLog {
		if !left[tt.command] {
			t.Errorf("there is no command %q", tt.command)
		}
		delete(left, tt.command)
		ctx, signal := context.WithCancel(t.Context())
		errs := &untilText{text: "msg=serving", seen: signal}
		args := strings.Fields(tt.command + " " + tt.flags)
		if tt.command == "audit seal" {
			var flags []string
			dir, flags, before = aYearOld(t)
			args = append(args, flags...)
		}
		args = append(args, "--data-dir", dir)
		if code := run(ctx, args, &bytes.Buffer{}, errs); code != exit.Done {
			t.Fatalf("%s: exit %d: %s", tt.command, code, &errs.all)
		}
		signal()
		added, after := entriesAfter(t, dir, before)
		before = after
		switch {
		case tt.action == "" && len(added) > 0:
			t.Errorf("%s left %+v", tt.command, added)
		case tt.action == "":
		case len(added) != 2 || added[0].Outcome != chain.OutcomeStarted || added[1].Outcome != chain.OutcomeSucceeded ||
			added[0].Action != tt.action || added[0].Actor != "host" || added[1].Completes != added[0].Sequence:
			t.Errorf("%s left %+v", tt.command, added)
		}
	}
	for command := range left {
		t.Errorf("the table does not say what %q leaves in the audit log", command)
	}
}

// commandsBelow returns the commands that do something.
func commandsBelow(cmd *cobra.Command) []string {
	if !cmd.HasSubCommands() {
		return []string{cmd.CommandPath()}
	}
	var all []string
	for _, below := range cmd.Commands() {
		all = append(all, commandsBelow(below)...)
	}
	return all
}

func entriesAfter(t *testing.T, dir string, sequence int64) ([]chain.Entry, int64) {
	t.Helper()
	c, err := catalog.OpenReadOnly(t.Context(), filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	entries, err := c.AuditLog.After(t.Context(), sequence, 100)
	if err != nil {
		t.Fatal(err)
	}
	return entries, sequence + int64(len(entries))
}
