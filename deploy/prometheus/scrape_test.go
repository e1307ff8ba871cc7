package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
)

// failingShops is a control plane of two instances whose databases have the same name, and whose last runs failed.
func failingShops(t *testing.T) *servertest.ControlPlane {
	t.Helper()
	cp := servertest.Start(t)
	cp.InviteAgent(t, "db1")
	cp.InviteAgent(t, "db2")
	cp.Stop(t)
	c, err := catalog.Open(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, instance := range []string{"db1", "db2"} {
		err := c.Agents.RecordSeen(t.Context(), instance, now)
		if err == nil {
			err = c.Runs.Record(t.Context(), fleet.Run{
				ID: fleet.NewID(), Instance: instance, Database: "shop", Trigger: "schedule", State: fleet.RunFailed, StartedAt: now, FinishedAt: now,
			}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cp.Run(t)
	return cp
}

// scraping starts a Prometheus with the configuration that is shipped, which differs in how often and what it scrapes, and
// returns its address.
func scraping(t *testing.T, target string) string {
	t.Helper()
	program, err := filepath.Abs("../../.tools/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("prometheus"); err != nil {
			t.Fatalf("prometheus is missing; make test installs it: %v", err)
		}
	}
	dir := t.TempDir()
	config := strings.NewReplacer("127.0.0.1:7480", target, "scrape_interval: 30s", "scrape_interval: 1s").Replace(read(t, "prometheus.yml"))
	config += "global: {evaluation_interval: 1s}\n"
	for name, content := range map[string]string{"prometheus.yml": config, rules: read(t, rules)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return address
}

// ask decodes the data of an answer of Prometheus.
func ask(ctx context.Context, address, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s, %w", path, response.Status, body, err)
	}
	return json.Unmarshal(body, &struct{ Data any }{into})
}

type labels map[string]string

// firing are the instance and database of each alert of a name that fires.
func firing(ctx context.Context, address, name string) (found []string, err error) {
	var answer struct {
		Alerts []struct {
			State  string
			Labels labels
		}
	}
	err = ask(ctx, address, "/api/v1/alerts", &answer)
	for _, alert := range answer.Alerts {
		if alert.State == "firing" && alert.Labels["alertname"] == name {
			found = append(found, alert.Labels["pg_instance"]+"/"+alert.Labels["database"])
		}
	}
	slices.Sort(found)
	return found, err
}

// A Prometheus gives what it scrapes a label "instance". Two instances' databases of one name stay two all the same.
func TestAPrometheusTellsInstancesApart(t *testing.T) {
	cp := failingShops(t)
	control, err := url.Parse(cp.URL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	address := scraping(t, control.Host)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	want := []string{"db1/shop", "db2/shop"}
	for found := []string(nil); !slices.Equal(found, want); {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%v fire, want %v: %v", found, want, err)
		}
		found, err = firing(ctx, address, "PgharborRunFailed")
	}
	shown := regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(read(t, "../grafana/fleet.json"), -1)
	for _, panel := range shown {
		var expression string
		if err := json.Unmarshal([]byte(panel[1]), &expression); err != nil {
			t.Fatal(err)
		}
		expression = strings.ReplaceAll(expression, "$instance", "db.*")
		var answer struct{ Result []struct{ Metric labels } }
		if err := ask(ctx, address, "/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
			t.Error(err)
		}
		if expression == `pgharbor_run_newest_succeeded{pg_instance=~"db.*"}` && len(answer.Result) != 2 {
			t.Errorf("%s shows %v", expression, answer.Result)
		}
	}
	if len(shown) == 0 {
		t.Error("the dashboard asks nothing")
	}
}
