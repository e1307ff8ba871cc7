package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

func (cp *controlPlane) renewed() int {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.renewals
}

// renew calls RenewIfDue over a connection of its own.
func renew(t *testing.T, identity *client.Identity, now time.Time) (bool, error) {
	t.Helper()
	conn, err := identity.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return identity.RenewIfDue(t.Context(), conn, now)
}

func TestRenewalAtTwoThirdsOfLife(t *testing.T) {
	cp := startControlPlane(t)
	identity, dir := enroll(t, cp, anna)
	before := identity.NotAfter()

	if done, err := renew(t, identity, time.Now().Add(19*24*time.Hour)); done || err != nil {
		t.Errorf("on day 19 of 30: %v, %v", done, err)
	}
	cp.now = func() time.Time { return time.Now().Add(time.Minute) }
	if done, err := renew(t, identity, time.Now().Add(21*24*time.Hour)); !done || err != nil {
		t.Fatalf("on day 21 of 30: %v, %v", done, err)
	}
	if !identity.NotAfter().After(before) {
		t.Error("the identity in memory has not the new certificate")
	}
	loaded, err := client.Load(dir)
	if err != nil || !loaded.NotAfter().Equal(identity.NotAfter()) {
		t.Errorf("the folder holds %v, %v", loaded.NotAfter(), err)
	}
	if name, err := whoAmI(t, loaded); err != nil || name != "anna" {
		t.Errorf("with the new certificate: %q, %v", name, err)
	}
}

func TestALostReplyLocksNobodyOut(t *testing.T) {
	cp := startControlPlane(t)
	identity, dir := enroll(t, cp, anna)
	cp.mu.Lock()
	cp.loseReply = true
	cp.mu.Unlock()
	if done, err := renew(t, identity, identity.RenewAt()); done || err == nil {
		t.Fatalf("renewed %v, %v", done, err)
	}
	for _, same := range []func() (*client.Identity, error){
		func() (*client.Identity, error) { return identity, nil },
		func() (*client.Identity, error) { return client.Load(dir) },
	} {
		kept, err := same()
		if err != nil {
			t.Fatal(err)
		}
		if name, err := whoAmI(t, kept); err != nil || name != "anna" {
			t.Errorf("with the old certificate: %q, %v", name, err)
		}
	}
}

func TestARenewalForSomebodyElseIsRefused(t *testing.T) {
	cp := startControlPlane(t)
	identity, _ := enroll(t, cp, anna)
	cp.answerAs = &pki.Principal{Kind: pki.KindUser, Name: "bert", Identity: "id2"}
	if done, err := renew(t, identity, identity.RenewAt()); done || err == nil {
		t.Errorf("took the certificate of another: %v, %v", done, err)
	}
	if name, err := whoAmI(t, identity); err != nil || name != "anna" {
		t.Errorf("now %q, %v", name, err)
	}
}

// Several commands of one person, each with its own copy of the identity, as
// processes have.
func TestConcurrentRenewalsAreOne(t *testing.T) {
	cp := startControlPlane(t)
	first, dir := enroll(t, cp, anna)
	due := first.RenewAt()
	// What is issued now is not due at that moment.
	cp.now = func() time.Time { return time.Now().Add(30 * time.Minute) }
	const processes = 8
	var wg sync.WaitGroup
	for range processes {
		identity, err := client.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if _, err := renew(t, identity, due); err != nil {
				t.Error(err)
			}
			if name, err := whoAmI(t, identity); err != nil || name != "anna" {
				t.Errorf("afterwards %q, %v", name, err)
			}
		})
	}
	wg.Wait()
	if n := cp.renewed(); n != 1 {
		t.Errorf("%d renewals", n)
	}
	loaded, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := whoAmI(t, loaded); err != nil || name != "anna" {
		t.Errorf("the folder's identity is %q, %v", name, err)
	}
}

func TestRenewalLeavesItToWhoHasTheLock(t *testing.T) {
	cp := startControlPlane(t)
	identity, dir := enroll(t, cp, anna)
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if done, err := renew(t, identity, identity.RenewAt()); done || err != nil {
		t.Errorf("under another's lock: %v, %v", done, err)
	}
	if n := cp.renewed(); n != 0 {
		t.Errorf("%d renewals", n)
	}
}

func TestExpiredIsSaid(t *testing.T) {
	cp := startControlPlane(t)
	cp.ttl = time.Second
	cp.now = func() time.Time { return time.Now().Add(-time.Minute) }
	dir := filepath.Join(t.TempDir(), "identity")
	if _, err := client.Enroll(t.Context(), dir, cp.invite(anna)); !errors.Is(err, client.ErrExpired) {
		t.Errorf("Enroll: %v, want ErrExpired", err)
	}
	if _, err := client.Load(dir); !errors.Is(err, client.ErrExpired) {
		t.Errorf("Load: %v, want ErrExpired", err)
	}
}

func TestKeepRenewedRenewsAndEnds(t *testing.T) {
	cp := startControlPlane(t)
	identity, _ := enroll(t, cp, anna)
	conn, err := identity.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	due := identity.RenewAt()
	cp.now = func() time.Time { return time.Now().Add(30 * time.Minute) }
	ctx, cancel := context.WithCancel(t.Context())
	renewed := &signalOnRenewal{Handler: slog.NewTextHandler(io.Discard, nil), done: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		identity.KeepRenewed(ctx, conn, slog.New(renewed), func() time.Time { return due })
	}()
	<-renewed.done
	cancel()
	<-ended
	if n := cp.renewed(); n != 1 {
		t.Errorf("%d renewals", n)
	}
}

// signalOnRenewal is a log that closes done when a renewal is told.
type signalOnRenewal struct {
	slog.Handler
	once sync.Once
	done chan struct{}
}

func (s *signalOnRenewal) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "certificate renewed" {
		s.once.Do(func() { close(s.done) })
	}
	return nil
}
