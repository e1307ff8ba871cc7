package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Health is one answer, and the longest if all is wrong: each of an agent's databases carries what
// the agent warns of.
func TestHealthOfVeryManyDatabasesWithMuchToSayIsAnswered(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	a, owner := connectAgent(t, cp, "db1"), cp.Owner(t)
	const databases, warnings = 200, 12
	status := &pgharborv1.AgentStatus{BackupsEnabled: true}
	for n := range databases {
		status.Databases = append(status.Databases, &pgharborv1.InstanceDatabase{Name: fmt.Sprintf("shop%d", n), Covered: true})
	}
	for range warnings {
		status.Warnings = append(status.Warnings, strings.Repeat("w", 8<<10))
	}
	a.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: &pgharborv1.Heartbeat{Status: status}}})
	a.hasBackup(t, 1) // and the heartbeat was taken before it
	health, err := pgharborv1.NewHealthServiceClient(owner).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{})
	if err != nil || len(health.GetDatabases()) != databases+1 {
		t.Errorf("%d databases, %v", len(health.GetDatabases()), err)
	}
}
