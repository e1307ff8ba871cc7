package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// RecoverOptions says who is to become an OWNER again.
type RecoverOptions struct {
	DataDir string
	Owner   string
	Now     func() time.Time
}

// RecoverOwner makes an invite for an OWNER of the whole fleet, for the day on which no OWNER can
// log in any longer. Anyone who may read and write the data folder may do all anyway, so nothing
// else is asked for; the audit log says that the host did it.
//
// It works while the control plane serves and while it does not. What it changes is
// nothing that the control plane holds in memory.
func RecoverOwner(ctx context.Context, o RecoverOptions) (made Initialised, err error) {
	if err := pki.ValidUserName(o.Owner); err != nil {
		return made, fleet.NewProblem(fleet.ErrInvalid, "--owner: %v", err)
	}
	store, done, err := openOnHost(ctx, o.DataDir)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, done()) }()
	ca, err := pki.LoadAuthorities(filepath.Join(o.DataDir, pkiFolder))
	if err != nil {
		return made, err
	}
	advertise, err := advertised(ctx, store)
	if err != nil {
		return made, err
	}
	word, invite, err := inviter(store, ca, &audit.Log{Store: store.AuditLog, Now: o.Now}, advertise).RecoverOwner(ctx, o.Owner)
	return Initialised{Invite: word, CAFingerprint: ca.Fingerprint(), ExpiresAt: invite.ExpiresAt}, err
}

// openOnHost opens the catalog of a data folder for a command on its host. If no control plane
// runs, none can start until done; while one runs, the schema is left as it is.
func openOnHost(ctx context.Context, dataDir string) (_ *catalog.Catalog, done func() error, err error) {
	path := filepath.Join(dataDir, catalogFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fleet.NewProblem(fleet.ErrNotFound, "%s holds no control plane", dataDir).
			WithHint("pgharbor-controlplane init --data-dir %s", dataDir)
	}
	unlock, err := lock(dataDir)
	if errors.Is(err, fleet.ErrConflict) {
		store, err := catalog.OpenWhileServed(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		return store, store.Close, nil
	}
	if err != nil {
		return nil, nil, err
	}
	store, err := catalog.Open(ctx, path)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return store, func() error { defer unlock(); return store.Close() }, nil
}
