package server_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// refusedWithin is what is promised of new connections after a revocation.
const refusedWithin = time.Second

// peer makes TLS connections with one certificate, and resumes its sessions.
type peer struct {
	address string
	config  *tls.Config
}

func newPeer(t *testing.T, cp *servertest.ControlPlane, dir string) *peer {
	cert := certificateIn(t, dir)
	config := pki.ClientConfig(authority(t, cp).Certificate(), func() *tls.Certificate { return cert })
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	return &peer{cp.Address(), config}
}

// connect reports whether the server lets the peer in, by waiting for its first bytes:
// in TLS 1.3 a client is told of its certificate's refusal only after its own
// handshake.
func (p *peer) connect() (resumed bool, err error) {
	conn, err := tls.Dial("tcp", p.address, p.config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	_, err = conn.Read(make([]byte, 1))
	return conn.ConnectionState().DidResume, err
}

// A TLS session from before a revocation is no way past it, and neither is a new
// one.
func TestRevocationRefusesNewConnections(t *testing.T) {
	cp := servertest.Start(t)
	people, agents := pgharborv1.NewUserServiceClient(cp.Owner(t)), pgharborv1.NewAgentServiceClient(cp.Owner(t))
	for what, revoke := range map[string]func(t *testing.T) (dir string, effect func() error){
		"an agent": func(t *testing.T) (string, func() error) {
			return cp.Enroll(t, cp.InviteAgent(t, "db1")), func() error {
				_, err := agents.RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: "db1"})
				return err
			}
		},
		"a person": func(t *testing.T) (string, func() error) {
			return cp.Enroll(t, cp.InviteUser(t, "anna", fleet.RoleOwner)), func() error {
				_, err := people.RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: "anna"})
				return err
			}
		},
		"a device": func(t *testing.T) (string, func() error) {
			dir := cp.Enroll(t, cp.InviteUser(t, "bert", fleet.RoleOwner))
			id := deviceOf(t, cp.Dial(t, dir))
			return dir, func() error {
				_, err := people.RevokeUserDevice(bounded(t), &pgharborv1.RevokeUserDeviceRequest{Name: "bert", DeviceId: id})
				return err
			}
		},
		"an agent by the enrolment of another": func(t *testing.T) (string, func() error) {
			dir := cp.Enroll(t, cp.InviteAgent(t, "db2"))
			return dir, func() error { cp.Enroll(t, cp.InviteAgent(t, "db2")); return nil }
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir, effect := revoke(t)
			p := newPeer(t, cp, dir)
			for _, want := range []bool{false, true} {
				if resumed, err := p.connect(); err != nil || resumed != want {
					t.Fatalf("before it: resumed %t, want %t, %v", resumed, want, err)
				}
			}
			if err := effect(); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if resumed, err := p.connect(); err == nil || !resumed {
				t.Errorf("a session from before it: resumed %t, %v", resumed, err)
			}
			if _, err := newPeer(t, cp, dir).connect(); err == nil {
				t.Error("a new session is let in")
			}
			if took := time.Since(begin); took > refusedWithin {
				t.Errorf("to be refused twice took %s", took)
			}
		})
	}
}

// What is not revoked stays let in, and everybody may end their own devices.
func TestRevocationOfADeviceLeavesTheOthers(t *testing.T) {
	cp := servertest.Start(t)
	lost, kept := cp.Enroll(t, cp.InviteUser(t, "vera", fleet.RoleViewer)), cp.Enroll(t, cp.InviteUser(t, "vera", fleet.RoleViewer))
	id, conn := deviceOf(t, cp.Dial(t, lost)), cp.Dial(t, kept)
	me := pgharborv1.NewIdentityServiceClient(conn)
	// Without any permission, and of one's own devices only.
	if _, err := me.RevokeDevice(bounded(t), &pgharborv1.RevokeDeviceRequest{DeviceId: deviceOf(t, cp.Owner(t))}); err == nil {
		t.Error("a VIEWER revoked the OWNER's device")
	}
	if _, err := me.RevokeDevice(bounded(t), &pgharborv1.RevokeDeviceRequest{DeviceId: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := newPeer(t, cp, lost).connect(); err == nil {
		t.Error("the lost one is let in")
	}
	if _, err := newPeer(t, cp, kept).connect(); err != nil {
		t.Errorf("the other one: %v", err)
	}
	all, err := me.ListDevices(bounded(t), &pgharborv1.ListDevicesRequest{})
	if err != nil || len(all.GetDevices()) != 2 || all.GetDevices()[1].GetRevokedAt() == nil || !all.GetDevices()[0].GetCurrent() {
		t.Errorf("devices %v, %v", all, err)
	}
	entries := auditLog(t, cp, "device.revoke")
	if refused, last := entries[0], entries[len(entries)-1]; refused.Outcome != "denied" || last.Actor != "user:vera" ||
		last.Action != "device.revoke" || last.Outcome != "succeeded" {
		t.Errorf("the audit log has %+v", entries)
	}
}
