package session

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// reportsInFlight bounds what the control plane is asked to write at once.
	reportsInFlight = 64
	// updateEvery is how often a job's progress is told at most.
	updateEvery = 500 * time.Millisecond
	// pageBytes bounds a page of the inventory, and any other message.
	pageBytes = 1 << 20
)

// send is the sending side: the journal first, then heartbeats, progress and
// what was asked for, until the stream ends. The first heartbeat follows the
// whole journal, so that the control plane can tell a result that comes from one
// that never will.
func (c *connection) send(ctx context.Context, interval time.Duration) error {
	beat := time.NewTicker(interval)
	defer beat.Stop()
	update := time.NewTimer(0) // jobs from before the session
	defer update.Stop()
	updateSet := true
	if err := c.listJournal(); err != nil {
		return err
	}
	for {
		if err := c.sendReports(ctx); err != nil {
			return err
		}
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.acked:
		case <-c.agent.Work.Journal.Changed():
			err = c.listJournal()
		case <-c.inventoryWanted:
			err = c.sendInventory(ctx)
		case <-c.agent.Work.Inventory.Changed():
			if c.drained {
				err = c.sendHeartbeat()
			}
		case <-c.agent.Work.Jobs.Changed():
			if !updateSet {
				update.Reset(updateEvery - c.agent.Now().Sub(c.updatedAt)) // at once if the last one is long ago
				updateSet = true
			}
		case <-update.C:
			updateSet = false
			err = c.sendUpdates()
		case <-beat.C:
			if err := c.mustSayAgain(); err != nil {
				return err
			}
			// Other processes append to the journal too.
			if err = c.listJournal(); err == nil && c.drained {
				err = c.sendHeartbeat()
			}
		}
		if err != nil {
			return err
		}
	}
}

// listJournal queues the entries that this session has not sent.
func (c *connection) listJournal() error {
	if len(c.queue) > 0 {
		return nil // first what is known; then there is another look
	}
	ids, err := c.agent.Work.Journal.Pending()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if _, known := c.open[id]; !known {
			c.queue, c.listed = append(c.queue, id), true
		}
	}
	return nil
}

// sendReports sends what is queued, as far as acknowledgements keep up.
func (c *connection) sendReports(ctx context.Context) error {
	for ctx.Err() == nil {
		if len(c.queue) == 0 {
			c.drained = true
			return nil
		}
		id := c.queue[0]
		c.mu.Lock()
		full := c.inFlight >= reportsInFlight
		c.mu.Unlock()
		if full {
			return nil
		}
		c.queue = c.queue[1:]
		report, err := c.report(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c.mu.Lock()
		c.open[id] = err == nil
		if err == nil {
			c.inFlight++
		}
		c.mu.Unlock()
		if err != nil {
			c.agent.Log.Error("an entry of the journal can't be sent", "entry", id, "error", err)
			continue
		}
		if err := c.write(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Report{Report: report}}); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (c *connection) report(id string) (*pgharborv1.Report, error) {
	entry, err := c.agent.Work.Journal.Read(id)
	if err != nil {
		return nil, err
	}
	return reportOf(entry, c.inventoryWith(entry.Backup)), nil
}

// inventoryWith is the inventory, read again if it may be older than a backup that another process
// made: the page that follows the report would say that it is gone. One that has gone since is
// looked for once for each time that the journal was listed.
func (c *connection) inventoryWith(made *backup.Manifest) job.Inventory {
	inventory := c.agent.Work.Inventory.Current()
	if made == nil || !c.listed || slices.ContainsFunc(inventory.Backups, func(b job.Backup) bool { return b.ID == made.ID }) {
		return inventory
	}
	c.listed = false
	return c.agent.Work.Inventory.Fresh()
}

func (c *connection) sendHeartbeat() error {
	beat := &pgharborv1.Heartbeat{SentAt: timestamppb.New(c.agent.Now()), InventoryDigest: c.agent.Work.Inventory.Current().Digest}
	if status := c.agent.status(); !proto.Equal(status, c.lastStatus) {
		beat.Status, c.lastStatus = status, status
	}
	for _, run := range c.agent.Work.Runs.Running() {
		beat.Running = append(beat.Running, runOf(run))
	}
	return c.write(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: beat}})
}

// sendUpdates tells the progress of the jobs that have made some.
func (c *connection) sendUpdates() error {
	last := c.updated
	c.updated = map[string]job.JobProgress{}
	for _, now := range c.agent.Work.Jobs.Jobs() {
		c.updated[now.ID] = now
		if before, told := last[now.ID]; told && before == now {
			continue
		}
		update := &pgharborv1.JobUpdate{JobId: now.ID, Progress: progressOf(now.Progress)}
		if err := c.write(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_JobUpdate{JobUpdate: update}}); err != nil {
			return err
		}
		c.updatedAt = c.agent.Now()
	}
	return nil
}

// sendInventory sends all backups, a page at a time.
func (c *connection) sendInventory(ctx context.Context) error {
	inventory := c.agent.Work.Inventory.Current()
	page, size := &pgharborv1.InventoryPage{Digest: inventory.Digest}, 0
	for _, b := range inventory.Backups {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		held := inventoryBackup(b, c.agent.Work.Inventory)
		if held == nil {
			continue
		}
		if n := proto.Size(held); len(page.Backups) > 0 && size+n > pageBytes {
			if err := c.writePage(page); err != nil {
				return err
			}
			page, size = &pgharborv1.InventoryPage{Digest: inventory.Digest}, 0
		}
		page.Backups = append(page.Backups, held)
		size += proto.Size(held)
	}
	page.Last = true
	return c.writePage(page)
}

func (c *connection) writePage(page *pgharborv1.InventoryPage) error {
	return c.write(&pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_InventoryPage{InventoryPage: page}})
}
