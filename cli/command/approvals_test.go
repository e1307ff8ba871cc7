package command

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// needsApproval is how a control plane answers a request that waits.
func needsApproval(t *testing.T) error {
	t.Helper()
	s, err := status.New(codes.FailedPrecondition, "approval ap1 waits for another person").WithDetails(&errdetails.ErrorInfo{
		Metadata: map[string]string{"approval": "ap1", "hint": "another person: pgharbor approvals approve ap1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

// GetApproval counts how often it was asked, and lets requests pass once it is approved.
func (f *fleet) GetApproval(context.Context, *pgharborv1.GetApprovalRequest) (*pgharborv1.GetApprovalResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.approval == nil {
		return fill(&pgharborv1.GetApprovalResponse{}), nil
	}
	f.approvals++
	approval := f.approval(f.approvals)
	if approval.GetState() == "approved" {
		f.failWith = nil
	}
	return &pgharborv1.GetApprovalResponse{Approval: approval}, nil
}

func (f *fleet) ListApprovals(context.Context, *pgharborv1.ListApprovalsRequest) (*pgharborv1.ListApprovalsResponse, error) {
	return fill(&pgharborv1.ListApprovalsResponse{}), nil
}

func (f *fleet) Approve(context.Context, *pgharborv1.ApproveRequest) (*pgharborv1.ApproveResponse, error) {
	return fill(&pgharborv1.ApproveResponse{}), nil
}

func (f *fleet) Deny(context.Context, *pgharborv1.DenyRequest) (*pgharborv1.DenyResponse, error) {
	return fill(&pgharborv1.DenyResponse{}), nil
}

func (f *fleet) ListPolicies(context.Context, *pgharborv1.ListPoliciesRequest) (*pgharborv1.ListPoliciesResponse, error) {
	return fill(&pgharborv1.ListPoliciesResponse{}), nil
}

func (f *fleet) SetPolicy(context.Context, *pgharborv1.SetPolicyRequest) (*pgharborv1.SetPolicyResponse, error) {
	return fill(&pgharborv1.SetPolicyResponse{}), nil
}

func (f *fleet) RemovePolicy(context.Context, *pgharborv1.RemovePolicyRequest) (*pgharborv1.RemovePolicyResponse, error) {
	return fill(&pgharborv1.RemovePolicyResponse{}), nil
}

// decidedAt answers pending until the given attempt.
func decidedAt(decision int, state string) func(int) *pgharborv1.Approval {
	return func(attempt int) *pgharborv1.Approval {
		if attempt < decision {
			return &pgharborv1.Approval{Id: "ap1", State: "pending"}
		}
		return &pgharborv1.Approval{Id: "ap1", State: state, DecidedBy: "bob", Comment: "not today"}
	}
}

func TestARequestThatWaitsSaysHowItGoesOn(t *testing.T) {
	f := loggedIn(t)
	f.failWith = needsApproval(t)
	got := f.run(t, "restore", "id1", "--to-database", "new", "--confirm", "new", "--reason", "drill")
	if got.code != exit.Failed || !strings.Contains(got.stderr, "hint: another person: pgharbor approvals approve ap1") || f.approvals != 0 {
		t.Errorf("%+v, looked %d times", got, f.approvals)
	}
}

func TestRestoreWaitsForItsApproval(t *testing.T) {
	f := loggedIn(t)
	f.failWith, f.approval = needsApproval(t), decidedAt(3, "approved")
	got := f.run(t, "restore", "id1", "--to-database", "new", "--confirm", "new", "--reason", "drill", "--wait=false", "--wait-approval")
	if got.code != exit.Done || f.approvals != 3 || !strings.Contains(got.stderr, "pgharbor approvals approve ap1") {
		t.Fatalf("%+v, looked %d times", got, f.approvals)
	}
	if len(f.restored) != 2 || !proto.Equal(f.restored[0], f.restored[1]) {
		t.Errorf("what was approved of is not what was asked for again: %v", f.restored)
	}
}

func TestWaitingEndsWithADecision(t *testing.T) {
	for state, want := range map[string]struct {
		code int
		text string
	}{
		"denied":  {exit.Denied, "bob denied it (approval ap1): not today"},
		"expired": {exit.Failed, "approval ap1 is expired"},
	} {
		f := loggedIn(t)
		f.failWith, f.approval = needsApproval(t), decidedAt(2, state)
		got := f.run(t, "restore", "id1", "--to-database", "new", "--confirm", "new", "--reason", "drill", "--wait-approval")
		if got.code != want.code || !strings.Contains(got.stderr, want.text) || len(f.restored) != 1 {
			t.Errorf("%s: %+v", state, got)
		}
	}
}

func TestDownloadWaitsForItsApproval(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	asked := 0
	f.send = func(_ *pgharborv1.DownloadRequest, stream sendStream) error {
		if asked++; asked == 1 {
			return needsApproval(t)
		}
		return sendAll(backup, stored, stream)
	}
	f.approval = decidedAt(2, "approved")
	dir := t.TempDir()
	if got := f.run(t, "download", "id1", "--output", dir, "--reason", "drill", "--wait-approval"); got.code != exit.Done {
		t.Fatalf("%+v", got)
	}
	wantFile(t, filepath.Join(dir, backup.GetFilename()), stored)
	if len(f.downloads) != 2 || !proto.Equal(f.downloads[0], f.downloads[1]) {
		t.Errorf("asked for %v", f.downloads)
	}
}

// A download that was cut and now waits says that it waits, and keeps what is here.
func TestDownloadThatIsResumedSaysThatItWaits(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	f.send = func(r *pgharborv1.DownloadRequest, stream sendStream) error {
		if r.GetOffset() > 0 {
			return needsApproval(t)
		}
		if err := sendAll(backup, stored[:30_000], stream); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "cut")
	}
	dir := t.TempDir()
	got := f.run(t, "download", "id1", "--output", dir)
	if got.code != exit.Failed || !strings.Contains(got.stderr, "approvals approve ap1") || len(entries(t, dir)) == 0 {
		t.Errorf("%+v, here are %v", got, entries(t, dir))
	}
}

func TestCompletionOffersWhatWaits(t *testing.T) {
	f := loggedIn(t)
	if got := f.run(t, "__complete", "approvals", "approve", ""); strings.ContainsAny(got.stdout, "\x1b\r") || !strings.Contains(got.stdout, " by ") {
		t.Errorf("offered %q", got.stdout)
	}
}
