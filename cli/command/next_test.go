package command

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What a restore ended with decides the next step that is told, at once and in the list.
func TestTheNextStepAfterARestore(t *testing.T) {
	const words = "pgharbor-agent runs job1"
	for name, test := range map[string]struct {
		failure, text string
		says          []string
		words         bool
	}{
		"of its content": {"content", "the dump holds code: table public.t calls a function of another's", []string{"another owner", "--trust-content", "may itself have refused"}, false},
		"of its code":    {"content", "the dump holds code: table public.t: insufficient_privilege (SQLSTATE 42501)", []string{"may itself have refused"}, true},
		"by the server":  {"failed", "unique_violation (SQLSTATE 23505), table goods", []string{"rows in the source", "docs/restore.md"}, true},
		"by its change":  {"failed", "invalid_object_definition (SQLSTATE 42P17)", []string{"ALTER FUNCTION", "docs/restore.md"}, true},
		"of a right":     {"failed", "ALTER FUNCTION c.f: insufficient_privilege (SQLSTATE 42501)", []string{"USAGE and CREATE", "docs/restore.md"}, true},
		"of no room":     {"failed", "disk_full (SQLSTATE 53100)", nil, true},
		"by a tool":      {"failed", "psql: signal: killed", nil, true},
		"by the agent":   {"failed", "3 of 14 checks failed", nil, false},
		"unreachable":    {"unreachable", "the agent did not begin", []string{"pgharbor agents list"}, false},
	} {
		f := loggedIn(t)
		f.watch = ends(&pgharborv1.Job{Id: "job1", State: "failed"})
		f.restore = &pgharborv1.Restore{Id: "job1", Instance: "shop-db", State: "failed", Failure: test.failure, Error: test.text}
		f.restores = []*pgharborv1.Restore{f.restore}
		for what, got := range map[string]result{
			"restore":  f.run(t, "restore", "id1", "--to-database", "new", "--confirm", "new", "--reason", "why"),
			"restores": f.run(t, "restores"),
		} {
			for _, says := range test.says {
				if !strings.Contains(got.stderr, says) {
					t.Errorf("%s, %s: it does not say %q: %s", name, what, says, got.stderr)
				}
			}
			if strings.Contains(got.stderr, words) != test.words {
				t.Errorf("%s, %s: words on the host: %s", name, what, got.stderr)
			}
		}
	}
}

// The host is named if it has more to say than what is here, and else not.
func TestAnEndPointsToTheHostOnlyForWords(t *testing.T) {
	for told, want := range map[string]bool{
		"table public.goods has 3 rows, and 4 went by in the dump":                                                    false,
		"psql: exit status 3: raise_exception (SQLSTATE P0001)":                                                       true,
		"warning: the server had something to say to pg_dump, in 2 lines that stay on the host":                       true,
		"warning: there are circular foreign-key constraints on this table":                                           false,
		"warning: roles, tablespaces and the settings of the database are not kept: pg_dumpall: exit status 1, at ta": true,
	} {
		if got := inFull("shop-db", "run1", told) != ""; got != want {
			t.Errorf("%q: %t", told, got)
		}
	}
}

// A backup that did not come back must be made again, and tested by a restore then.
func TestTheNextStepAfterAFailedTestRestore(t *testing.T) {
	var p *exit.Problem
	err := jobEnd("verify", "job1", "shop-db", "failed", "the test restore failed: syntax_error (SQLSTATE 42601)", "integrity")
	if !errors.As(err, &p) || p.Code != exit.Integrity || !strings.Contains(p.Hint, "pgharbor backup shop-db, and verify that") || !strings.Contains(p.Hint, "pgharbor-agent runs job1") {
		t.Errorf("%+v", p)
	}
}

// If the database itself does not come back, another backup of it does not either.
func TestTheNextStepWhereTheSourceDoesNotLoad(t *testing.T) {
	var p *exit.Problem
	err := jobEnd("verify", "job1", "shop-db", "failed", "the test restore failed: unique_violation (SQLSTATE 23505)", "integrity")
	if !errors.As(err, &p) || !strings.Contains(p.Hint, "rows in the source") || strings.Contains(p.Hint, "pgharbor backup") || !strings.Contains(p.Hint, "pgharbor-agent runs job1") {
		t.Errorf("%+v", p)
	}
}

// There is no preview if the file is not; the hint does not have somebody leave out where the
// restore is to be.
func TestAPreviewElsewhere(t *testing.T) {
	f := loggedIn(t)
	f.backups = []*pgharborv1.Backup{{Id: "id1", Instance: "shop-db"}}
	got := f.run(t, "restore", "id1", "--to-database", "new", "--to-instance", "spare-db", "--preview")
	if got.code != exit.Usage || !strings.Contains(got.stderr, "hint: leave out --preview: the agent of spare-db runs the preflight") {
		t.Errorf("%+v", got)
	}
	f.watch = ends(&pgharborv1.Job{Id: "job1", State: "succeeded"})
	f.restore = &pgharborv1.Restore{Id: "job1", State: "succeeded", Checks: []*pgharborv1.RestoreCheck{{Name: "target", Result: "OK", Detail: "it does not exist"}}}
	if got := f.run(t, "restore", "id1", "--to-database", "new", "--to-instance", "shop-db", "--preview"); got.code != exit.Done || !strings.Contains(got.stdout, "target: it does not exist") {
		t.Errorf("on its own: %+v", got)
	}
}

// What is overdue is not said to be at a time that is past.
func TestAPurgeThatIsDue(t *testing.T) {
	f := loggedIn(t)
	now := f.clock.Now()
	line := func(in time.Duration) string {
		return policyLine(&pgharborv1.InstanceRetention{Instance: "shop-db", RetentionDays: 30, KeepLast: 3, NextPurgeAt: timestamppb.New(now.Add(in))}, now)
	}
	if past, next := line(-time.Minute), line(time.Hour); !strings.HasSuffix(past, "the next purge is due") || strings.HasSuffix(next, "due") {
		t.Errorf("%s\n%s", past, next)
	}
}
