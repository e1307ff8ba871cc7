package attack_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// A hello with very many names, or with one of a mebibyte, made health, the metrics and
// HTTP time out for the whole fleet.
func TestNamesOfOneAgentBlindNobody(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	// The trap is live: as many names as one may have do get in.
	connect(t, h.malloryConn, &pgharborv1.Hello{Status: databases(2000, "name-%d")})
	if all := h.health(t)["mallory"]; len(all) != 2000 || verdicts(all)["REFUSED"] {
		t.Errorf("of as many as may be, %d are evaluated: %v", len(all), verdicts(all))
	}
	for name, hello := range map[string]*pgharborv1.Hello{
		"many": {Status: databases(100_000, "a-name-of-many-%d")},
		"huge": {Status: databases(1, strings.Repeat("x", 1<<20)+"%d"), AgentVersion: strings.Repeat("v", 1<<20), InventoryDigest: strings.Repeat("d", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			connect(t, h.malloryConn, hello)
			of := h.health(t)
			if n := len(of["mallory"]); n > fleet.DefaultShare.Databases || !verdicts(of["mallory"])["REFUSED"] {
				t.Errorf("mallory has %d databases with the verdicts %v", n, verdicts(of["mallory"]))
			}
			if honest := of["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
				t.Errorf("the honest one is %v", honest)
			}
		})
	}
	var memory runtime.MemStats
	runtime.GC()
	if runtime.ReadMemStats(&memory); memory.HeapAlloc > 256<<20 {
		t.Errorf("%d bytes are in use afterwards", memory.HeapAlloc)
	}
}

// Sizes near 2^63 broke the sums of retention for everybody, and invented names of
// runs made health take seconds.
func TestSizesAndNamesOfReportsBreakNobodysLists(t *testing.T) {
	share := fleet.Share{Databases: 50, Backups: 200, Runs: 400, Bytes: 64 << 20}
	h := newHarbor(t, share)
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{})
	for _, size := range []int64{math.MaxInt64, math.MaxInt64 - 1, fleet.MaxSize + 1, -1, math.MinInt64} {
		mallory.report(t, backupOf("shop", size))
	}
	for range 3 {
		mallory.report(t, backupOf("shop", fleet.MaxSize))
	}
	for n := range 300 {
		mallory.report(t, backupOf(fmt.Sprintf("invented%d", n), fleet.MaxSize))
	}
	retentions, err := pgharborv1.NewRetentionServiceClient(h.owner).ListRetentions(bounded(t), &pgharborv1.ListRetentionsRequest{})
	if err != nil || len(retentions.GetRetentions()) != 2 {
		t.Fatalf("retention: %v, %v", retentions, err)
	}
	for _, r := range retentions.GetRetentions() {
		for _, d := range r.GetDatabases() {
			if want := map[string]int64{"shop": 3 * fleet.MaxSize, "shop0": 10}[d.GetDatabase()]; want > 0 && d.GetSizeBytes() != want {
				t.Errorf("%s of %s has %d bytes, want %d", d.GetDatabase(), r.GetInstance(), d.GetSizeBytes(), want)
			}
		}
	}
	of := h.health(t)
	if n := len(of["mallory"]); n > share.Databases || !verdicts(of["mallory"])["REFUSED"] {
		t.Errorf("mallory has %d databases with the verdicts %v", n, verdicts(of["mallory"]))
	}
	if honest := of["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
		t.Errorf("the honest one is %v", honest)
	}
}

// flood sends the worst of each kind, as fast as it is taken, until the session
// ends, and returns how much was sent and why it ended.
func flood(s session, sent *atomic.Int64) error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	var page pgharborv1.InventoryPage
	for n := range 600 {
		b := aBackup(fleet.NewID(), fmt.Sprintf("invented%d", n%40), fleet.MaxSize)
		for m := range 20 {
			b.Tables = append(b.Tables, &pgharborv1.TableRows{Schema: "public", Name: fmt.Sprintf("table%d", m), Rows: 1})
		}
		page.Backups = append(page.Backups, b)
	}
	for n := 0; ; n++ {
		status := databases(50, "invented%d")
		status.Encrypting, status.RetentionDays = n%2 == 0, int32(n%7)
		page.Last, page.Digest = true, fmt.Sprint(n)
		for _, m := range []*pgharborv1.ConnectRequest{
			heartbeat(status), reportOf(backupOf(fmt.Sprintf("invented%d", n), fleet.MaxSize)),
			{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: &page}},
			{Message: &pgharborv1.ConnectRequest_JobUpdate{JobUpdate: &pgharborv1.JobUpdate{JobId: fleet.NewID()}}},
		} {
			if err := s.Send(m); errors.Is(err, io.EOF) {
				return <-ended
			} else if err != nil {
				return err
			}
			sent.Add(1)
		}
	}
}

// An agent that floods could not be revoked for five minutes, because the audit log could not be
// written, and others met SQLITE_BUSY. Now the flood goes on while everybody else is served, and
// ends with its revocation.
func TestFloodOfAnAgentIsEndedByItsRevocation(t *testing.T) {
	share := fleet.Share{Databases: 50, Backups: 3000, Runs: 400, Bytes: 64 << 20}
	h := newHarbor(t, share)
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{})
	var sent atomic.Int64
	over := make(chan error, 1)
	go func() { over <- flood(mallory, &sent) }()
	for round := range 5 {
		before := sent.Load()
		for ticker := time.Tick(time.Millisecond); sent.Load() < before+4; <-ticker { // it goes on
			select {
			case err := <-over:
				t.Fatalf("the flood ended by itself: %v", err)
			default:
			}
		}
		h.honest.report(t, backupOf("shop0", 10+int64(round)))
		if honest := h.health(t)["shop-db"]; len(honest) != 1 || honest[0].GetVerdict() != "OK" {
			t.Errorf("round %d: the honest one is %v", round, honest)
		}
	}
	asked := sent.Load()
	if _, err := pgharborv1.NewAgentServiceClient(h.owner).RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: "mallory"}); err != nil {
		t.Fatalf("the revocation: %v", err)
	}
	// A revocation that waited for the flood would never come: it waits for one part
	// of a report, and not for what was sent before it.
	if during := sent.Load() - asked; during > 1000 {
		t.Errorf("%d messages were sent while the revocation waited", during)
	}
	if err := <-over; status.Code(err) != codes.Unauthenticated {
		t.Errorf("the flood ended with %v", err)
	}
	if n := len(h.entries(t, "agent.settings", "agent:mallory")); n > 20 {
		t.Errorf("its settings take %d entries of the audit log", n)
	}
	if entries := h.entries(t, "agent.revoke", ""); len(entries) != 2 {
		t.Errorf("the audit log has %d entries of the revocation", len(entries))
	}
	h.honest.report(t, backupOf("shop0", 10))
	if _, still := h.health(t)["mallory"]; still {
		t.Error("a revoked agent is evaluated")
	}
}

// 3,000 heartbeats that flip a setting were 6,000 entries of the audit log. The count is on it when
// the control plane stops.
func TestSettingsThatFlipAreAFewEntriesAndACount(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	const flips = 300
	mallory := connect(t, h.malloryConn, &pgharborv1.Hello{Status: &pgharborv1.AgentStatus{RetentionDays: 30}})
	for n := range flips {
		mallory.send(t, heartbeat(&pgharborv1.AgentStatus{RetentionDays: 30, Encrypting: n%2 == 0}))
	}
	mallory.report(t, &pgharborv1.Report{}) // all before it was taken over
	before := h.entries(t, "agent.settings", "agent:mallory")
	if len(before) == 0 || len(before) > 10 {
		t.Errorf("%d entries", len(before))
	}
	h.Stop(t)
	h.Run(t)
	after := h.entries(t, "agent.settings", "agent:mallory")
	if len(after) != len(before)+1 || !strings.HasPrefix(after[0].GetDetail(), fmt.Sprintf("%d times more from ", flips-len(before)/2)) {
		t.Errorf("%d entries, the newest: %v", len(after), after[0])
	}
}

// Anyone who may do nothing fills the audit log with that no more than others.
func TestDenialsAreAFewEntries(t *testing.T) {
	h := newHarbor(t, fleet.DefaultShare)
	vera := h.User(t, "vera", fleet.RoleViewer)
	for n := range 300 {
		_, err := pgharborv1.NewBackupServiceClient(vera).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: fmt.Sprint("db", n)})
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("a viewer starts a backup: %v", err)
		}
		_, err = pgharborv1.NewBackupServiceClient(h.malloryConn).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "shop-db"})
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("an agent starts a backup: %v", err)
		}
	}
	for _, actor := range []string{"user:vera", "agent:mallory"} {
		if n := len(h.entries(t, "BackupService/StartBackup", actor)); n == 0 || n > 10 {
			t.Errorf("%s has %d entries", actor, n)
		}
	}
}
