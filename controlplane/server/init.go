package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/enrolment"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// What is in the data folder.
const (
	catalogFile = "catalog.db"
	pkiFolder   = "pki"
	lockFile    = "lock"
	stagingName = ".init"
)

const settingAdvertise = "advertise"

// ownerInviteLife is longer than others': the first OWNER may take a day.
const ownerInviteLife = 24 * time.Hour

// InitOptions says what a new control plane is to be.
type InitOptions struct {
	DataDir   string
	Advertise string // host:port, as agents and people reach it
	Owner     string // the name of the first OWNER
	Now       func() time.Time
}

// Initialised is what the first OWNER needs.
type Initialised struct {
	Invite        string    `json:"invite"`
	CAFingerprint string    `json:"ca_fingerprint"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// Init makes the CA, the catalog and the first OWNER's invite in a folder. A folder that has them
// already is left as it is: fleet.ErrExists. All is made in a separate folder and moved in at the
// end, so that an Init that was cut off can simply be run again.
func Init(ctx context.Context, o InitOptions) (Initialised, error) {
	if err := checkInit(o); err != nil {
		return Initialised{}, err
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return Initialised{}, err
	}
	unlock, err := lock(o.DataDir)
	if err != nil {
		return Initialised{}, err
	}
	defer unlock()
	switch _, err := os.Lstat(filepath.Join(o.DataDir, catalogFile)); {
	case err == nil:
		return Initialised{}, fleet.NewProblem(fleet.ErrExists, "%s is initialised already; nothing was changed", o.DataDir).
			WithHint("pgharbor-controlplane serve --data-dir %s", o.DataDir)
	case !errors.Is(err, fs.ErrNotExist):
		return Initialised{}, err
	}
	staging := filepath.Join(o.DataDir, stagingName)
	if err := os.RemoveAll(staging); err != nil {
		return Initialised{}, err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return Initialised{}, err
	}
	made, err := populate(ctx, staging, o)
	if err != nil {
		return Initialised{}, err
	}
	return made, install(o.DataDir, staging)
}

func checkInit(o InitOptions) error {
	if o.DataDir == "" {
		return fleet.NewProblem(fleet.ErrInvalid, "--data-dir is missing")
	}
	if err := pki.ValidAddress(o.Advertise); err != nil {
		return fleet.NewProblem(fleet.ErrInvalid, "--advertise: %v", err)
	}
	if err := pki.ValidUserName(o.Owner); err != nil {
		return fleet.NewProblem(fleet.ErrInvalid, "--owner: %v", err)
	}
	return nil
}

func populate(ctx context.Context, dir string, o InitOptions) (made Initialised, err error) {
	if _, err := pki.CreateCA(filepath.Join(dir, pkiFolder), o.Now()); err != nil {
		return made, err
	}
	ca, err := pki.LoadAuthorities(filepath.Join(dir, pkiFolder))
	if err != nil {
		return made, err
	}
	if _, _, err := ca.AuditKey(o.Now); err != nil {
		return made, err
	}
	c, err := catalog.Open(ctx, filepath.Join(dir, catalogFile))
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.SetSetting(ctx, settingAdvertise, o.Advertise); err != nil {
		return made, err
	}
	invites := inviter(c, ca, &audit.Log{Store: c.AuditLog, Now: o.Now}, o.Advertise)
	word, invite, err := invites.InviteFirstOwner(ctx, o.Owner, ownerInviteLife)
	return Initialised{Invite: word, CAFingerprint: ca.Fingerprint(), ExpiresAt: invite.ExpiresAt}, err
}

// inviter makes invites that bring anyone who has one to this control plane.
func inviter(c *catalog.Catalog, ca *pki.Authorities, auditLog *audit.Log, address string) *enrolment.Inviter {
	return &enrolment.Inviter{Catalog: c, Audit: auditLog, Now: auditLog.Now, Address: address, Fingerprint: ca.Fingerprint}
}

// install moves what was made into place, the catalog last: where it is, everything is.
func install(dir, staging string) error {
	if err := os.RemoveAll(filepath.Join(dir, pkiFolder)); err != nil { // of an Init that was cut off: no catalog, no use
		return err
	}
	for _, name := range []string{pkiFolder, catalogFile} {
		if err := os.Rename(filepath.Join(staging, name), filepath.Join(dir, name)); err != nil {
			return err
		}
		if err := disk.SyncFolder(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(staging)
}

// advertised returns the address that Init was given.
func advertised(ctx context.Context, c *catalog.Catalog) (string, error) {
	address, err := c.Setting(ctx, settingAdvertise)
	if err != nil {
		return "", fmt.Errorf("the catalog has no address to put into invites: %w", err)
	}
	return address, nil
}
