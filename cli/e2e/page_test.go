package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// worstDay is the page to print. Its blocks are executed as they are.
const worstDay = "../../docs/worst-day.md"

var (
	codeBlock  = regexp.MustCompile("(?s)```bash\n(.*?)```")
	assignment = regexp.MustCompile(`^([A-Z]+)=`)
)

// blocks returns the code of a page, in its order.
func blocks(tb testing.TB) []string {
	tb.Helper()
	page, err := os.ReadFile(worstDay)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, match := range codeBlock.FindAllSubmatch(page, -1) {
		all = append(all, string(match[1]))
	}
	return all
}

// page N runs the block N of the page, from 1 on, with a shell that stops at an error. What the
// page gives a name at its top is the script's to say: those lines are left out if the variable is
// set.
func (s *stage) page(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: page N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	all := blocks(s.tb)
	if n < 1 || n > len(all) {
		ts.Fatalf("the page has %d blocks", len(all))
	}
	var lines []string
	for line := range strings.Lines(all[n-1]) {
		if name := assignment.FindStringSubmatch(line); name != nil && ts.Getenv(name[1]) != "" {
			continue
		}
		lines = append(lines, line)
	}
	ts.Check(ts.Exec("sh", "-eu", "-c", strings.Join(lines, "")))
}

// Every block of the page is run by the script, once and in the page's order.
func TestThePageIsRunAsAWhole(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("testdata", "worst-day.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var run []string
	for _, match := range regexp.MustCompile(`(?m)^page (\d+)$`).FindAllSubmatch(script, -1) {
		run = append(run, string(match[1]))
	}
	var want []string
	for n := range blocks(t) {
		want = append(want, strconv.Itoa(n+1))
	}
	if strings.Join(run, " ") != strings.Join(want, " ") {
		t.Errorf("the script runs the blocks %v, and the page has %v", run, want)
	}
}
