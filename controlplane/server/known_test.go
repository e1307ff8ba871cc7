package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// A typo in a filter must not look like good news: a list that is empty because nobody has the name is an error.
func TestAFilterByWhatIsUnknownIsNoEmptyList(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "shop-1").hasBackup(t, 4) // of the database shop
	connectAgent(t, cp, "away-1")
	owner, stranger := cp.Owner(t), cp.User(t, "vera", fleet.RoleViewer, "away-*")
	for _, tt := range []struct {
		instance, database string
		want               codes.Code
		found              int
	}{
		{"shop-1", "shop", codes.OK, 1},
		{"shop-*", "", codes.OK, 1},
		{"*", "shop", codes.OK, 1},
		{"away-1", "", codes.OK, 0},
		{"shop-?", "shop", codes.OK, 1},
		{"shpo-1", "", codes.NotFound, 0},
		{"shpo-*", "", codes.NotFound, 0},
		{"", "shpo", codes.NotFound, 0},
		{"away-1", "shop", codes.NotFound, 0},
		{"shop[12]*", "", codes.InvalidArgument, 0},
	} {
		backups, err := pgharborv1.NewBackupServiceClient(owner).ListBackups(bounded(t), &pgharborv1.ListBackupsRequest{Instance: tt.instance, Database: tt.database})
		if status.Code(err) != tt.want || len(backups.GetBackups()) != tt.found {
			t.Errorf("backups of %q %q: %d, %v", tt.instance, tt.database, len(backups.GetBackups()), err)
		}
		runs, err := pgharborv1.NewRunServiceClient(owner).ListRuns(bounded(t), &pgharborv1.ListRunsRequest{Instance: tt.instance, Database: tt.database})
		if status.Code(err) != tt.want || len(runs.GetRuns()) != tt.found {
			t.Errorf("runs of %q %q: %d, %v", tt.instance, tt.database, len(runs.GetRuns()), err)
		}
		if _, err := pgharborv1.NewHealthServiceClient(owner).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{Instance: tt.instance, Database: tt.database}); status.Code(err) != tt.want && tt.want != codes.InvalidArgument {
			t.Errorf("health of %q %q: %v", tt.instance, tt.database, err)
		}
		if tt.database != "" {
			continue
		}
		if _, err := pgharborv1.NewRestoreServiceClient(owner).ListRestores(bounded(t), &pgharborv1.ListRestoresRequest{Instance: tt.instance}); status.Code(err) != tt.want {
			t.Errorf("restores of %q: %v", tt.instance, err)
		}
		if _, err := pgharborv1.NewRetentionServiceClient(owner).ListRetentions(bounded(t), &pgharborv1.ListRetentionsRequest{Instance: tt.instance}); status.Code(err) != tt.want && tt.want != codes.InvalidArgument {
			t.Errorf("retention of %q: %v", tt.instance, err)
		}
	}
	// What is out of scope is as if it were not there.
	for _, request := range []*pgharborv1.ListBackupsRequest{{Instance: "shop-*"}, {Database: "shop"}, {Instance: "*", Database: "shop"}} {
		if found, err := pgharborv1.NewBackupServiceClient(stranger).ListBackups(bounded(t), request); status.Code(err) != codes.NotFound {
			t.Errorf("vera is told %v, %v of %v", found, err, request)
		}
	}
}

func TestAThresholdThatMatchesNothingIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "shop-db")
	health := pgharborv1.NewHealthServiceClient(cp.Owner(t))
	for pattern, want := range map[string]codes.Code{
		"shop-db": codes.InvalidArgument, "shpo-db/shop": codes.NotFound,
		"shop-db/not_yet": codes.OK, "*/scratch": codes.OK, "*": codes.OK, "prod-*/shop": codes.OK, "shop*": codes.OK,
	} {
		_, err := health.SetThreshold(bounded(t), &pgharborv1.SetThresholdRequest{Threshold: &pgharborv1.Threshold{Pattern: pattern, Ignore: true}})
		if status.Code(err) != want {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
}

func TestTheAuditLogKnowsItsWords(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "db1")
	audit := pgharborv1.NewAuditServiceClient(cp.Owner(t))
	for _, tt := range []struct {
		request *pgharborv1.ListAuditEntriesRequest
		want    codes.Code
	}{
		{&pgharborv1.ListAuditEntriesRequest{Action: "identity.enroll"}, codes.OK},
		{&pgharborv1.ListAuditEntriesRequest{Action: "identity.enrol"}, codes.InvalidArgument},
		{&pgharborv1.ListAuditEntriesRequest{Action: "audit.seal"}, codes.OK}, // none yet
		{&pgharborv1.ListAuditEntriesRequest{Action: "TransferService/Download"}, codes.OK},
		{&pgharborv1.ListAuditEntriesRequest{Outcome: "denied", Action: "identity.enroll"}, codes.OK}, // none, and no typo
		{&pgharborv1.ListAuditEntriesRequest{Outcome: "well"}, codes.InvalidArgument},
		{&pgharborv1.ListAuditEntriesRequest{Instance: "db2"}, codes.NotFound},
		{&pgharborv1.ListAuditEntriesRequest{Instance: "db?"}, codes.OK},
	} {
		if _, err := audit.ListAuditEntries(bounded(t), tt.request); status.Code(err) != tt.want {
			t.Errorf("%v: %v, want %s", tt.request, err, tt.want)
		}
	}
}
