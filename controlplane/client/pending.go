package client

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// ErrReplyLost reports that the control plane may have redeemed the invite, and its reply did
// not arrive. To enrol again with the same invite leads to the same identity.
var ErrReplyLost = errors.New("the control plane's reply was lost; enrol again with the same invite")

// pendingKey is the key of an enrolment that is not over. It is on disk before the
// invite is sent, so that a second attempt comes with the same one.
type pendingKey struct {
	key  crypto.Signer
	path string
	// kind is what the invite must be for; empty: anything.
	kind pki.Kind
	// device is what a person calls this machine.
	device string
	old    bool // it is of an earlier attempt, which may have succeeded
	sent   bool // the invite has left with this attempt
}

// openPendingKey reads the key of an earlier attempt with this invite, or makes one. It is next to
// the identity's folder, named after the invite.
func openPendingKey(dir string, invite pki.Invite) (*pendingKey, error) {
	p := &pendingKey{path: filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+"."+pki.HashSecret(invite.Secret)[:16]+".key")}
	content, err := os.ReadFile(p.path)
	if err == nil {
		p.old = true
		if p.key, err = pki.ParseKey(content); err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for the key of an earlier attempt: %w", err)
	}
	if p.key, err = pki.NewKey(); err != nil {
		return nil, err
	}
	if content, err = pki.EncodeKey(p.key); err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(p.path, content, 0o600, renameio.WithTempDir(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("keep the key: %w", err)
	}
	return p, disk.SyncFolder(filepath.Dir(dir))
}

// finish removes the key once nothing can come of it any more, and passes the
// outcome of the attempt on.
func (p *pendingKey) finish(outcome error) error {
	if outcome != nil && (p.old || p.sent) && !final(outcome) {
		return outcome
	}
	if err := os.Remove(p.path); err != nil {
		return errors.Join(outcome, fmt.Errorf("remove the key of the enrolment: %w", err))
	}
	return outcome
}

// final reports whether the control plane has refused the invite or the request.
func final(err error) bool {
	code := status.Code(err)
	return code == codes.Unauthenticated || code == codes.InvalidArgument
}

// lost reports whether an error leaves open what the control plane has done.
func lost(err error) bool {
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Unknown, codes.Internal:
		return true
	default:
		return false
	}
}
