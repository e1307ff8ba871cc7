package server_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// redeem sends the secret of an invite as often as it is called.
func redeem(ctx context.Context, conn *grpc.ClientConn, word string) error {
	invite, err := pki.ParseInvite(word)
	if err != nil {
		return err
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return err
	}
	_, err = pgharborv1.NewEnrollmentServiceClient(conn).Enroll(ctx, &pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: csr})
	return err
}

func TestOneOfManyRedemptionsWins(t *testing.T) {
	t.Parallel()
	const many = 100
	cp := servertest.Start(t)
	word, conn := cp.InviteAgent(t, "db1"), dialWith(t, cp, nil)
	var wg sync.WaitGroup
	results := make(chan error, many)
	for range many {
		wg.Go(func() { results <- redeem(bounded(t), conn, word) })
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch status.Code(err) {
		case codes.OK:
			won++
		case codes.Unauthenticated:
		default:
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
	outcomes := map[string]int{}
	for _, e := range auditLog(t, cp, "identity.enroll") {
		if e.Target == "agent:db1" {
			outcomes[e.Outcome]++
		}
	}
	// Anyone who came once it was used is counted; those who came at the same moment had begun.
	if outcomes["succeeded"] != 1 || outcomes["started"] != 1+outcomes["failed"] || outcomes["failed"]+outcomes["denied"] == 0 {
		t.Errorf("the audit log has %v", outcomes)
	}
}

// Anyone who has the word of an invite that is used up, or was used with their key, came as often
// as they liked, with two entries each time.
func TestInviteThatIsUsedUpIsAFewEntries(t *testing.T) {
	cp := servertest.Start(t)
	word, other := cp.InviteUser(t, "vera", fleet.RoleViewer), cp.InviteUser(t, "carl", fleet.RoleViewer)
	conn := dialWith(t, cp, nil)
	invite, err := pki.ParseInvite(word)
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	const times = 40
	for range times {
		_, err := pgharborv1.NewEnrollmentServiceClient(conn).Enroll(bounded(t), &pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: csr})
		if err != nil {
			t.Fatalf("the same key: %v", err)
		}
		if err := redeem(bounded(t), conn, word); status.Code(err) != codes.Unauthenticated {
			t.Fatalf("another key: %v", err)
		}
	}
	for _, want := range []codes.Code{codes.OK, codes.Unauthenticated} {
		if err := redeem(bounded(t), conn, other); status.Code(err) != want {
			t.Fatalf("another invite: %v", err)
		}
	}
	of := map[string]int{}
	for _, e := range auditLog(t, cp, "identity.enroll") {
		of[e.Target+" "+e.Outcome]++
	}
	if of["user:vera denied"] > 8 || of["user:vera denied"] == 0 || of["user:vera succeeded"] > 8 || of["user:vera failed"] != 0 {
		t.Errorf("of %d attempts with each key the audit log has %v", times, of)
	}
	if of["user:carl denied"] != 1 {
		t.Errorf("another invite is counted with it: %v", of)
	}
	cp.Stop(t)
	cp.Run(t)
	told := slices.ContainsFunc(auditLog(t, cp, "identity.enroll"), func(e entry) bool {
		return e.Outcome == "denied" && e.Target == "user:vera" && strings.Contains(e.Detail, " times more ")
	})
	if !told {
		t.Error("how often it came again is not told")
	}
}

func TestInviteThatHasExpiredIsRefused(t *testing.T) {
	var mu sync.Mutex
	ahead := time.Duration(0)
	cp := servertest.Start(t, func(c *server.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	})
	made, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).CreateUserInvite(bounded(t),
		&pgharborv1.CreateUserInviteRequest{Name: "vera", Role: "VIEWER", Ttl: durationpb.New(10 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	ahead = 10 * time.Minute
	mu.Unlock()
	if err := redeem(bounded(t), dialWith(t, cp, nil), made.GetInvite()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

func TestRequestThatCannotBeSignedLeavesTheInvite(t *testing.T) {
	cp := servertest.Start(t)
	word := cp.InviteUser(t, "vera", fleet.RoleViewer)
	invite, err := pki.ParseInvite(word)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pgharborv1.NewEnrollmentServiceClient(dialWith(t, cp, nil)).Enroll(bounded(t),
		&pgharborv1.EnrollRequest{Secret: invite.Secret, Csr: []byte("rubbish")})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
	cp.Enroll(t, word)
}

// Anyone who pastes an invite into the wrong program has it still, and no ghost device is left.
func TestAnInviteForSomebodyElseStaysUnused(t *testing.T) {
	cp := servertest.Start(t)
	person, agent := cp.InviteUser(t, "vera", fleet.RoleViewer), cp.InviteAgent(t, "db1")
	dir := filepath.Join(t.TempDir(), "identity")
	if _, err := client.EnrollAgent(t.Context(), dir, person); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "for the person vera") {
		t.Errorf("an agent with a person's invite: %v", err)
	}
	if _, err := client.EnrollDevice(t.Context(), dir, agent, "desk"); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "for the agent of db1") {
		t.Errorf("a person with an agent's invite: %v", err)
	}
	users, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).ListUsers(bounded(t), &pgharborv1.ListUsersRequest{})
	for _, user := range users.GetUsers() {
		if user.GetName() == "vera" && user.GetDevices() != 0 {
			t.Errorf("vera has %d devices", user.GetDevices())
		}
	}
	if err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := client.EnrollDevice(t.Context(), dir, person, "desk"); err != nil {
		t.Error(err)
	}
	if _, err := client.EnrollAgent(t.Context(), filepath.Join(t.TempDir(), "identity"), agent); err != nil {
		t.Error(err)
	}
}

// A reply that was lost must lock nobody out, so the earlier certificate holds.
func TestRenewedCertificateWorksAndTheOldOneToo(t *testing.T) {
	cp := servertest.Start(t)
	dir := cp.Enroll(t, cp.InviteAgent(t, "db1"))
	old := dialWith(t, cp, certificateIn(t, dir))
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := identity.RenewIfDue(bounded(t), cp.Dial(t, dir), identity.RenewAt().Add(time.Second)); err != nil || !renewed {
		t.Fatalf("renewed %t, %v", renewed, err)
	}
	for name, conn := range map[string]*grpc.ClientConn{"new": cp.Dial(t, dir), "old": old} {
		who, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
		if err != nil || who.GetKind() != "agent" || who.GetName() != "db1" {
			t.Errorf("the %s certificate: %v, %v", name, who, err)
		}
	}
	revokeAgent(t, cp, "db1")
	for name, conn := range map[string]*grpc.ClientConn{"new": cp.Dial(t, dir), "old": old} {
		_, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("the %s certificate after the revocation: %v", name, err)
		}
	}
}
