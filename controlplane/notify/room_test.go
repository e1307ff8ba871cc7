package notify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// A message that is too large for its receiver is refused, and nobody is told.
func TestMuchThatIsWrongIsToldByMessagesThatFit(t *testing.T) {
	h := newHook(t)
	s := newStage(t, h.config(t, "rosebud"))
	status := fleet.AgentStatus{BackupsEnabled: true}
	for n := range fleet.AlertsOfOne {
		name := fmt.Sprintf("%s%d", strings.Repeat("\x01", 250), n)
		status.Databases = append(status.Databases, fleet.InstanceDatabase{Name: name, Covered: true})
		err := s.Catalog.Runs.Record(t.Context(), fleet.Run{
			ID: fleet.NewID(), Instance: "db1", Database: name, State: fleet.RunFailed, StartedAt: s.at, FinishedAt: s.at, Error: strings.Repeat("\x01", 8<<10),
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]int{}
	var left []float64
	for range 10 {
		if err := s.Catalog.Agents.RecordStatus(t.Context(), "db1", "1", status, s.at); err != nil {
			t.Fatal(err)
		}
		s.pass(t)
	}
	for n, body := range h.bodies {
		if size := len(h.raw[n]); size > 100<<10 {
			t.Errorf("a message of %d bytes", size)
		}
		for _, news := range body["news"].([]any) {
			of := news.(map[string]any)
			told[fmt.Sprint(of["kind"], of["verdict"], of["database"])]++
		}
		more, _ := body["more"].(float64)
		left = append(left, more)
	}
	if len(left) < 2 || left[0] == 0 || left[len(left)-1] != 0 || len(told) < fleet.AlertsOfOne {
		t.Errorf("%d news by messages after which %v were to follow", len(told), left)
	}
	for what, times := range told {
		if times != 1 {
			t.Errorf("told %d times: %q", times, what)
		}
	}
}
