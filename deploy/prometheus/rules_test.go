// Package prometheus holds what deploy/prometheus and deploy/grafana ship against
// the control plane that they are for.
package prometheus

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
)

const rules = "pgharbor.rules.yml"

// promtool is what make test puts beside the other tools.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := filepath.Abs("../../.tools/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		if tool, err = exec.LookPath("promtool"); err != nil {
			t.Fatalf("promtool is missing; make test installs it: %v", err)
		}
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAlertWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", rules)
	promtool(t, "test", "rules", "pgharbor.rules.test.yml")
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Nobody is woken without being told what to do, and there is no verdict that
// nobody is told of.
func TestEveryVerdictHasAnAlertAndEveryAlertAPage(t *testing.T) {
	text := read(t, rules)
	for _, verdict := range fleet.Verdicts() {
		if !verdict.Fine() && !strings.Contains(text, `verdict="`+string(verdict)+`"`) {
			t.Errorf("no rule alerts on %s", verdict)
		}
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\S+)$`).FindAllStringSubmatch(text, -1)
	pages, err := filepath.Glob("../../docs/alerts/*.md")
	if err != nil || len(pages) != len(alerts) {
		t.Errorf("%d alerts have %d pages: %v", len(alerts), len(pages), err)
	}
	for _, alert := range alerts {
		page := "docs/alerts/" + alert[1] + ".md"
		if !strings.Contains(text, "runbook: "+page) || !strings.Contains(read(t, "../../"+page), "**Do.**") {
			t.Errorf("%s does not lead to a page that says what to do", alert[1])
		}
	}
}

// metricNames are those that the control plane has.
func metricNames(t *testing.T) []string {
	t.Helper()
	described := make(chan *client.Desc, 100)
	(&health.Collector{}).Describe(described)
	close(described)
	names := []string{"grpc_server_handled_total"} // of the middleware; server's tests see it scraped
	for desc := range described {
		names = append(names, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(desc.String())[1])
	}
	return names
}

func TestRulesAndDashboardUseMetricsThatExist(t *testing.T) {
	dashboard := read(t, "../grafana/fleet.json")
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
	have := metricNames(t)
	for name, text := range map[string]string{"the rules": read(t, rules), "the dashboard": dashboard} {
		used := regexp.MustCompile(`\b(pgharbor|grpc_server)_[a-z_]+`).FindAllString(text, -1)
		if len(used) == 0 {
			t.Errorf("%s use no metric", name)
		}
		for _, metric := range used {
			if !slices.Contains(have, metric) {
				t.Errorf("%s use %s, which does not exist", name, metric)
			}
		}
	}
	for _, metric := range have {
		if !strings.Contains(dashboard, metric) {
			t.Errorf("the dashboard does not show %s", metric)
		}
	}
}
