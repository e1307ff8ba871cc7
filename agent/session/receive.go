package session

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/job"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// receive takes what the control plane says until the stream ends. Nothing here
// waits for work; jobs live as long as work does.
func (c *connection) receive(work context.Context) error {
	for {
		message, err := c.stream.Recv()
		if err != nil {
			return err
		}
		switch m := message.GetMessage().(type) {
		case *pgharborv1.ConnectResponse_Offer:
			offered := jobFrom(m.Offer, Uploader{c.Conn})
			if offered.Restore != nil {
				offered.Restore.Source = sourceFrom(m.Offer.GetRestore().GetSource(), Fetcher{c.Conn})
			}
			c.Work.Accept(work, offered)
		case *pgharborv1.ConnectResponse_ReportAck:
			if err := c.takeAck(m.ReportAck.GetId()); err != nil {
				return err
			}
		case *pgharborv1.ConnectResponse_InventoryRequest:
			ring(c.inventoryWanted)
		case *pgharborv1.ConnectResponse_TrailHead:
			if err := c.takeTrailHead(m.TrailHead); err != nil {
				return err
			}
		default: // a newer control plane may say more than we understand
		}
	}
}

// takeAck forgets an entry of the journal; only one that this session sent.
func (c *connection) takeAck(id string) error {
	c.mu.Lock()
	sent := c.open[id]
	c.mu.Unlock()
	if !sent {
		return nil
	}
	if err := c.Work.State.Journal.Ack(id); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.open, id)
	c.inFlight--
	c.mu.Unlock()
	ring(c.acked)
	return nil
}

func jobFrom(offer *pgharborv1.Offer, to job.Uploader) job.Job {
	j := job.Job{ID: offer.GetJobId()}
	switch spec := offer.GetSpec().(type) {
	case *pgharborv1.Offer_Backup:
		j.Backup = &job.BackupSpec{Database: spec.Backup.GetDatabase()}
	case *pgharborv1.Offer_Restore:
		j.Restore = restoreFrom(spec.Restore)
	case *pgharborv1.Offer_Preview:
		j.Preview = restoreFrom(spec.Preview)
	case *pgharborv1.Offer_Undo:
		j.Undo = &job.UndoSpec{RestoreID: spec.Undo.GetRestoreId()}
	case *pgharborv1.Offer_Send:
		j.Send = &job.SendSpec{BackupID: spec.Send.GetBackupId(), Offset: spec.Send.GetOffset(), Whole: spec.Send.GetWhole(), To: to}
	case *pgharborv1.Offer_Verify:
		j.Verify = &job.VerifySpec{BackupID: spec.Verify.GetBackupId()}
	case *pgharborv1.Offer_Hold:
		j.Hold = &job.HoldSpec{
			BackupID: spec.Hold.GetBackupId(), Release: spec.Hold.GetRelease(), Reason: spec.Hold.GetReason(), By: spec.Hold.GetBy(),
		}
	}
	return j
}

func restoreFrom(spec *pgharborv1.RestoreSpec) *job.RestoreSpec {
	return &job.RestoreSpec{
		BackupID: spec.GetBackupId(), Target: spec.GetTargetDatabase(), Replace: spec.GetReplace(), WithRoles: spec.GetWithRoles(), TrustContent: spec.GetTrustContent(),
	}
}

// ring puts a token in a doorbell, where there may be one already.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
