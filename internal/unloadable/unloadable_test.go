package unloadable_test

import (
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/unloadable"
)

func TestNextStep(t *testing.T) {
	for text, says := range map[string]string{
		"table public.t: check_violation (SQLSTATE 23514), schema public, table t, constraint c": "rows in the source",
		"foreign_key_violation (SQLSTATE 23503)":                                                 "rows in the source",
		"invalid_object_definition (SQLSTATE 42P17)":                                             "ALTER FUNCTION",
		"ALTER FUNCTION c.f: insufficient_privilege (SQLSTATE 42501)":                            "USAGE and CREATE",
		"disk_full (SQLSTATE 53100)":                                                             "",
		"raise_exception (SQLSTATE P0001)":                                                       "",
		"3 of 14 checks failed":                                                                  "",
		"table public.goods has 3 rows, and 4 went by":                                           "",
	} {
		step := unloadable.NextStep(text)
		if !strings.Contains(step, says) || (step == "") != (says == "") {
			t.Errorf("%s: %q", text, step)
		}
	}
}

// The page that is named has that part.
func TestThePageIsThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/restore.md")
	if err != nil || !strings.Contains(string(page), "\n## What does not come back\n") {
		t.Errorf("docs/restore.md: %v", err)
	}
}
