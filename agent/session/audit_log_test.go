package session_test

import (
	"crypto"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// signedCheckpoint is a checkpoint of one of two audit logs, as the control plane sends it.
func signedCheckpoint(t *testing.T, key crypto.Signer, sequence int64, auditLog string) *pgharborv1.ConnectResponse {
	t.Helper()
	checkpoint, err := chain.Sign(chain.Checkpoint{Sequence: sequence, Hash: strings.Repeat(auditLog, 64)}, time.Now(), key, []byte("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	return &pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_TrailHead{TrailHead: &pgharborv1.TrailHead{
		Sequence: checkpoint.Sequence, Hash: checkpoint.Hash, At: timestamppb.New(checkpoint.At), Signature: checkpoint.Signature, Certificate: checkpoint.Certificate,
	}}}
}

// awaitDoubt reads on to a status that warns of the audit log, and returns the warning.
func (p *peer) awaitDoubt() string {
	var doubt string
	p.until(func(m *pgharborv1.ConnectRequest) bool {
		warnings := m.GetHeartbeat().GetStatus().GetWarnings()
		if i := slices.IndexFunc(warnings, func(w string) bool { return strings.Contains(w, "audit log is in doubt") }); i >= 0 {
			doubt = warnings[i]
		}
		return doubt != ""
	})
	return doubt
}

func TestCheckpointsOfTheAuditLogAreKeptAndTold(t *testing.T) {
	leakless(t)
	harbor, conn := openHarbor(t)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	work := newRunner(t)
	connect(t, conn, work, func(s *session.Session) {
		s.AuditKey = func(certificate []byte, _ time.Time) (crypto.PublicKey, error) {
			if string(certificate) != "certificate" {
				return nil, errors.New("of another CA")
			}
			return key.Public(), nil
		}
	})
	p, hello := harbor.next(t, time.Second)
	if hello.GetTrailHead() != nil {
		t.Errorf("a new agent has seen %v", hello.GetTrailHead())
	}
	// A checkpoint that somebody else has signed is not kept, and said to be in doubt.
	stranger, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	p.send(signedCheckpoint(t, key, 5, "a"))
	p.send(signedCheckpoint(t, stranger, 6, "a"))
	if doubt := p.awaitDoubt(); !strings.Contains(doubt, "not signed") {
		t.Errorf("the warning is %q", doubt)
	}
	p.over <- status.Error(codes.Unavailable, "going away")
	p, hello = harbor.next(t, time.Second)
	if told := hello.GetTrailHead(); told.GetSequence() != 5 || len(told.GetSignature()) == 0 || string(told.GetCertificate()) != "certificate" {
		t.Errorf("the agent says that it has seen %v", told)
	}

	// One that is signed, and of another audit log, leaves the older one in force.
	p.send(signedCheckpoint(t, key, 5, "b"))
	if doubt := p.awaitDoubt(); !strings.Contains(doubt, "entry 5") || !strings.Contains(doubt, "bbbb") {
		t.Errorf("the warning is %q", doubt)
	}
	p.over <- status.Error(codes.Unavailable, "going away")
	_, hello = harbor.next(t, time.Second)
	if told := hello.GetTrailHead(); told.GetHash() != strings.Repeat("a", 64) {
		t.Errorf("then it says that it has seen %v", told)
	}
	// A session that stands for weeks would not say so: it is ended for it, once each time.
	for range 2 {
		if err := work.State.Witness.Accept(time.Now()); err != nil {
			t.Fatal(err)
		}
		if p, hello = harbor.next(t, time.Second); !hello.GetTrailHead().GetBeginsAnew() {
			t.Errorf("once that is accepted, it says %v", hello.GetTrailHead())
		}
		p.until(isHeartbeat)
		p.send(signedCheckpoint(t, key, 5, "b"))
		p.until(isHeartbeat)
		p.until(isHeartbeat)
	}
}
