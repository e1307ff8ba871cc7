package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// endsWithin is what is promised of a live stream whose caller may no longer have
// it.
const endsWithin = 5 * time.Second

func setUser(t *testing.T, cp *servertest.ControlPlane, request *pgharborv1.UpdateUserRequest) {
	t.Helper()
	if _, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).UpdateUser(bounded(t), request); err != nil {
		t.Fatal(err)
	}
}

// deviceOf is the id of the device that a connection is of.
func deviceOf(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	devices, err := pgharborv1.NewIdentityServiceClient(conn).ListDevices(bounded(t), &pgharborv1.ListDevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range devices.GetDevices() {
		if device.GetCurrent() {
			return device.GetId()
		}
	}
	t.Fatal("none of the devices is the one that asks")
	return ""
}

func revokeDevice(t *testing.T, cp *servertest.ControlPlane, name, id string) {
	t.Helper()
	_, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).RevokeUserDevice(bounded(t),
		&pgharborv1.RevokeUserDeviceRequest{Name: name, DeviceId: id})
	if err != nil {
		t.Fatal(err)
	}
}

// ended waits until a stream that sends on and on has ended, and returns how and
// how soon.
func ended(recv func() error) (time.Duration, error) {
	begin, err := time.Now(), error(nil)
	for err == nil {
		err = recv()
	}
	return time.Since(begin), err
}

// rightsThatChange are anna's, whose download and whose watch of a job are under way.
var rightsThatChange = []struct {
	what     string
	change   func(t *testing.T, cp *servertest.ControlPlane, device string)
	download codes.Code
	watch    codes.Code // OK: it goes on
}{
	{"the person is revoked", func(t *testing.T, cp *servertest.ControlPlane, _ string) { revokeUser(t, cp, "anna") },
		codes.Unauthenticated, codes.Unauthenticated},
	{"the device is revoked", func(t *testing.T, cp *servertest.ControlPlane, device string) { revokeDevice(t, cp, "anna", device) },
		codes.Unauthenticated, codes.Unauthenticated},
	{"the scope no longer covers it", func(t *testing.T, cp *servertest.ControlPlane, _ string) {
		setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "anna", Scope: &pgharborv1.NewScope{Instances: []string{"away-*"}}})
	}, codes.PermissionDenied, codes.PermissionDenied},
	{"the role may not download", func(t *testing.T, cp *servertest.ControlPlane, _ string) {
		setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "anna", Role: "VIEWER"})
	}, codes.PermissionDenied, codes.OK},
	{"the scope changes and still covers it", func(t *testing.T, cp *servertest.ControlPlane, _ string) {
		setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "anna", Scope: &pgharborv1.NewScope{Instances: []string{"db?"}}})
	}, codes.OK, codes.OK},
	{"another device of the person is revoked", func(t *testing.T, cp *servertest.ControlPlane, _ string) {
		revokeDevice(t, cp, "anna", deviceOf(t, cp.User(t, "anna", fleet.RoleOwner)))
	}, codes.OK, codes.OK},
}

// Whatever takes a person's rights away ends what lives by them, and nothing else.
func TestRightsThatGoEndLiveStreams(t *testing.T) {
	for _, tt := range rightsThatChange {
		t.Run(tt.what, func(t *testing.T) {
			cp := servertest.Start(t)
			a := connectAgent(t, cp, "db1")
			backup := a.hasBackup(t, 1<<40)
			anna := cp.User(t, "anna", fleet.RoleOwner)
			device := deviceOf(t, anna)
			job := startBackup(t, cp.Owner(t), "db1").GetId()
			a.offer(t)
			watch, err := pgharborv1.NewJobServiceClient(anna).WatchJob(bounded(t), &pgharborv1.WatchJobRequest{Id: job})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := watch.Recv(); err != nil {
				t.Fatal(err)
			}
			stream, _ := download(t, anna, &pgharborv1.DownloadRequest{BackupId: backup})
			up := a.upload(t, a.offer(t).GetJobId())
			if err := up.Send(chunk("first")); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}

			tt.change(t, cp, device)
			if tt.download == codes.OK {
				if err := up.Send(chunk("more")); err != nil {
					t.Fatal(err)
				}
				if part, err := stream.Recv(); err != nil || string(part.GetChunk()) != "more" {
					t.Errorf("the download has %v, %v", part, err)
				}
			} else if took, err := ended(func() error { _, err := stream.Recv(); return err }); status.Code(err) != tt.download || took > endsWithin {
				t.Errorf("the download ended after %s with %v", took, err)
			}
			if tt.watch == codes.OK {
				a.finishes(t, job, "succeeded", "", "")
				for state := ""; state != "succeeded"; { // it may have changed before
					news, err := watch.Recv()
					if err != nil {
						t.Fatalf("the watch ended with %v", err)
					}
					state = news.GetJob().GetState()
				}
			} else if took, err := ended(func() error { _, err := watch.Recv(); return err }); status.Code(err) != tt.watch || took > endsWithin {
				t.Errorf("the watch ended after %s with %v", took, err)
			}
		})
	}
}

// A reader that does not read gets what was under way to it and no more, and its
// agent is told to stop.
func TestRevocationEndsADownloadOfASlowReader(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 1<<40)
	anna := cp.User(t, "anna", fleet.RoleOwner)
	stream, _ := download(t, anna, &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.upload(t, a.offer(t).GetJobId())
	stopped := make(chan time.Time, 1)
	go func() {
		block := chunk(strings.Repeat("x", 256<<10))
		for up.Send(block) == nil {
		}
		stopped <- time.Now()
	}()
	if _, err := stream.Recv(); err != nil { // it flows
		t.Fatal(err)
	}
	revokeDevice(t, cp, "anna", deviceOf(t, anna))
	revoked := time.Now()
	select {
	case at := <-stopped:
		if took := at.Sub(revoked); took > endsWithin {
			t.Errorf("the agent sent for %s", took)
		}
	case <-bounded(t).Done():
		t.Fatal("the agent still sends")
	}
	late := 0
	for {
		part, err := stream.Recv()
		if err != nil {
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("the reader was told %v", err)
			}
			break
		}
		late += len(part.GetChunk())
	}
	if late > 8<<20 { // what the windows of both streams hold
		t.Errorf("%d bytes came after it", late)
	}
	if last := endOfAuditLog(t, cp, "backup.download"); last.Outcome != "failed" {
		t.Errorf("the audit log ends with %+v", last)
	}
}

// A role, a scope and a grant that change are heeded by the very next call.
func TestRightsHoldFromTheNextCall(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	olga, owner := cp.User(t, "olga", fleet.RoleOperator), pgharborv1.NewUserServiceClient(cp.Owner(t))
	restore := func() codes.Code {
		// Without a confirmation it gets no further than who may ask.
		_, err := pgharborv1.NewRestoreServiceClient(olga).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{BackupId: backup})
		return status.Code(err)
	}
	show := func() codes.Code {
		_, err := pgharborv1.NewBackupServiceClient(olga).GetBackup(bounded(t), &pgharborv1.GetBackupRequest{Id: backup})
		return status.Code(err)
	}
	const may, not, unknown = codes.InvalidArgument, codes.PermissionDenied, codes.NotFound
	for _, step := range []struct {
		what          string
		change        func()
		restore, show codes.Code
	}{
		{"an OPERATOR", func() {}, not, codes.OK},
		{"with a grant elsewhere", func() { grant(t, cp, "olga", "backup.restore", "away-*") }, not, codes.OK},
		{"with a grant here", func() { grant(t, cp, "olga", "backup.restore", "db1") }, may, codes.OK},
		{"limited to elsewhere", func() {
			setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "olga", Scope: &pgharborv1.NewScope{Instances: []string{"away-*"}}})
		}, unknown, unknown},
		{"limited to here", func() {
			setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "olga", Scope: &pgharborv1.NewScope{Instances: []string{"db*"}}})
		}, may, codes.OK},
		{"without the grant", func() {
			if _, err := owner.RevokePermission(bounded(t), &pgharborv1.RevokePermissionRequest{Name: "olga", Permission: "backup.restore"}); err != nil {
				t.Fatal(err)
			}
		}, not, codes.OK},
		{"an OWNER", func() { setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "olga", Role: "OWNER"}) }, may, codes.OK},
		{"a VIEWER", func() { setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "olga", Role: "VIEWER"}) }, not, codes.OK},
	} {
		step.change()
		if got := restore(); got != step.restore {
			t.Errorf("%s: a restore is %s, want %s", step.what, got, step.restore)
		}
		if got := show(); got != step.show {
			t.Errorf("%s: a look is %s, want %s", step.what, got, step.show)
		}
	}
	denied := auditLog(t, cp, "RestoreService/CreateRestore")
	if last := denied[1]; last.Actor != "user:olga" || last.Outcome != "denied" || last.Instance != "db1" {
		t.Errorf("outside of the grant's scope the audit log has %+v", last)
	}
}

// What a health watch shows is of the scope that it was opened with, so it ends with
// that.
func TestAnotherScopeEndsAWatchOfHealth(t *testing.T) {
	cp := servertest.Start(t)
	cp.Agent(t, "db1")
	watch, err := pgharborv1.NewHealthServiceClient(cp.User(t, "vera", fleet.RoleViewer)).WatchHealth(bounded(t), &pgharborv1.WatchHealthRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	setUser(t, cp, &pgharborv1.UpdateUserRequest{Name: "vera", Scope: &pgharborv1.NewScope{Instances: []string{"away-*"}}})
	if took, err := ended(func() error { _, err := watch.Recv(); return err }); status.Code(err) != codes.Unavailable || took > endsWithin {
		t.Errorf("the watch ended after %s with %v", took, err)
	}
}

// An agent that is revoked in the middle of a download sends no more, and anyone who downloads is
// told.
func TestRevocationOfAnAgentEndsItsUpload(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 1<<40)
	stream, _ := download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	up := a.upload(t, a.offer(t).GetJobId())
	if err := up.Send(chunk("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	revokeAgent(t, cp, "db1")
	if took, err := ended(func() error { _, err := stream.Recv(); return err }); status.Code(err) != codes.Unavailable || took > endsWithin {
		t.Errorf("the download ended after %s with %v", took, err)
	}
	if took, err := ended(func() error { return up.Send(chunk("more")) }); took > endsWithin {
		t.Errorf("the agent could send for %s, until %v", took, err)
	}
	if _, err := up.CloseAndRecv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the agent was told %v", err)
	}
}
