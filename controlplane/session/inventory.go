package session

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// maxInventory bounds, in bytes of memory, what an agent can make the control plane
// hold while its inventory arrives. Tests lower it.
var maxInventory = 384 << 20

// What a backup and a table of it take in addition to their texts.
const (
	backupWeight = 1 << 10
	tableWeight  = 64
)

// weight is about what a page takes in memory.
func weight(page *pgharborv1.InventoryPage) int {
	all := proto.Size(page) + backupWeight*len(page.GetBackups())
	for _, b := range page.GetBackups() {
		all += tableWeight * len(b.GetTables())
	}
	return all
}

// wantInventory asks for the inventory if it is not the one that the catalog has, once for each
// digest.
func (s *session) wantInventory(digest string) {
	if digest == s.takenDigest || digest == s.askedFor {
		return
	}
	select {
	case s.outbox <- inventoryRequest():
		s.askedFor, s.inventory, s.inventoryBytes = digest, nil, 0
	default: // the outbox is full: the next heartbeat asks again
	}
}

func inventoryRequest() *pgharborv1.ConnectResponse {
	return &pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_InventoryRequest{InventoryRequest: &pgharborv1.InventoryRequest{}}}
}

func (s *session) takeInventory(ctx context.Context, page *pgharborv1.InventoryPage) error {
	s.Notifications.Notify(s.answerChannel())
	s.inventoryBytes += weight(page)
	if s.inventoryBytes > maxInventory {
		s.inventory = nil
		if page.GetLast() { // not asked for again, until it is another one
			s.inventoryBytes = 0
			s.refuse("the inventory", fmt.Errorf("it takes more than %d bytes", maxInventory))
		}
		return nil
	}
	for _, b := range page.GetBackups() {
		backup, err := backupFrom(s.instance, b)
		if err != nil {
			s.refuse("a backup of the inventory", err)
			continue
		}
		forgetAhead(&backup, s.Now().UTC())
		s.inventory = append(s.inventory, backup)
	}
	if !page.GetLast() {
		return nil
	}
	whole := s.inventory
	s.inventory, s.inventoryBytes, s.askedFor = nil, 0, ""
	if err := s.examine(ctx, whole); err != nil {
		return err
	}
	refused, err := s.Catalog.Backups.TakeInventory(ctx, s.instance, page.GetDigest(), whole)
	if err != nil {
		return err
	}
	for _, err := range refused {
		s.refuse("a backup of the inventory", err)
	}
	s.takenDigest = page.GetDigest()
	return nil
}

// forgetAhead leaves out when a backup was read or restored, if that is said to be yet to come: it
// would hide for years what is found since. The report of it was taken over as of its arrival.
func forgetAhead(b *fleet.Backup, now time.Time) {
	ahead := func(at time.Time) bool { return !notAfter(now, at).Equal(at) }
	if ahead(b.ScrubbedAt) {
		b.ScrubbedAt = time.Time{}
	}
	if ahead(b.TestRestore.FinishedAt) {
		b.TestRestore = fleet.TestRestore{}
	}
}
