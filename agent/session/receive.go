package session

import (
	"context"

	"google.golang.org/grpc"

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
			c.agent.Work.Jobs.Accept(work, jobFrom(m.Offer, c.agent.Conn))
		case *pgharborv1.ConnectResponse_ReportAck:
			if err := c.takeAck(m.ReportAck.GetId()); err != nil {
				return err
			}
		case *pgharborv1.ConnectResponse_InventoryRequest:
			notify(c.inventoryWanted)
		case *pgharborv1.ConnectResponse_TrailHead:
			if err := c.takeCheckpoint(m.TrailHead); err != nil {
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
	if err := c.agent.Work.Journal.Ack(id); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.open, id)
	c.inFlight--
	c.mu.Unlock()
	notify(c.acked)
	return nil
}

// jobFrom leaves the spec of a kind nil that this agent does not know.
func jobFrom(offer *pgharborv1.Offer, conn grpc.ClientConnInterface) job.Job {
	return job.Job{ID: offer.GetJobId(), Spec: specFrom(offer, conn)}
}

func specFrom(offer *pgharborv1.Offer, conn grpc.ClientConnInterface) job.Spec {
	switch spec := offer.GetSpec().(type) {
	case *pgharborv1.Offer_Backup:
		return job.BackupSpec{Database: spec.Backup.GetDatabase()}
	case *pgharborv1.Offer_Restore:
		restore := restoreFrom(spec.Restore)
		restore.Source = sourceFrom(spec.Restore.GetSource(), Fetcher{conn})
		return restore
	case *pgharborv1.Offer_Preview:
		return job.PreviewSpec{Restore: restoreFrom(spec.Preview)}
	case *pgharborv1.Offer_Undo:
		return job.UndoSpec{RestoreID: spec.Undo.GetRestoreId()}
	case *pgharborv1.Offer_Send:
		return job.SendSpec{BackupID: spec.Send.GetBackupId(), Offset: spec.Send.GetOffset(), Whole: spec.Send.GetWhole(), To: Uploader{conn}}
	case *pgharborv1.Offer_Verify:
		return job.VerifySpec{BackupID: spec.Verify.GetBackupId()}
	case *pgharborv1.Offer_Hold:
		return job.HoldSpec{
			BackupID: spec.Hold.GetBackupId(), Release: spec.Hold.GetRelease(), Reason: spec.Hold.GetReason(), By: spec.Hold.GetBy(),
		}
	}
	return nil
}

func restoreFrom(spec *pgharborv1.RestoreSpec) job.RestoreSpec {
	return job.RestoreSpec{
		BackupID: spec.GetBackupId(), Target: spec.GetTargetDatabase(), Replace: spec.GetReplace(), WithRoles: spec.GetWithRoles(), TrustContent: spec.GetTrustContent(),
	}
}

// notify puts a token into a channel of one slot, unless it holds one already.
func notify(changed chan struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}
