package api

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page about the audit log and the filter of its list know the same actions.
func TestTheActionsAreThoseThatTheDocsList(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What is on it")
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string]bool{"approval.*": true, "agent.*": true}
	for _, row := range strings.Split(table, "\n") {
		if !strings.HasPrefix(row, "| ") {
			continue
		}
		for _, word := range regexp.MustCompile("`([a-z]+(?:[.-][a-z*-]+)*)`").FindAllStringSubmatch(strings.Split(row, "|")[2], -1) {
			listed[word[1]] = true
			if !slices.Contains(actions, word[1]) && !strings.HasSuffix(word[1], ".*") && word[1] != "denied" {
				t.Errorf("docs/audit.md lists %s, which no filter knows", word[1])
			}
		}
	}
	for _, action := range actions {
		if !listed[action] && !strings.HasPrefix(action, "approval.") {
			t.Errorf("docs/audit.md does not list %s", action)
		}
	}
}
