package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// CAs is the state of the fleet's certificate authorities. More than one means that a rotation is
// under way.
type CAs struct {
	Authorities []Authority `json:"authorities"` // the newest first
	// Behind are those who would be locked out if the older CA were retired now.
	Behind []Behind `json:"behind"`
}

// Authority is one CA.
type Authority struct {
	Fingerprint string    `json:"fingerprint"`
	MadeAt      time.Time `json:"made_at"`
	EndsAt      time.Time `json:"ends_at"`
	// Certifies says whom: "agents and people", "the control plane", or both.
	Certifies string `json:"certifies"`
}

// Behind is who still needs the older CA, and why.
type Behind struct {
	Who        string    `json:"who"` // "agent:NAME", "user:NAME" or "invite for …"
	EnrolledAt time.Time `json:"enrolled_at,omitzero"`
	// EndsAt is when the certificate or the invite ends, and the question with it.
	EndsAt time.Time `json:"ends_at,omitzero"`
	Why    string    `json:"why"`
}

// ListCAs reports how far a rotation has come. The control plane may be running.
func ListCAs(ctx context.Context, dataDir string, now time.Time) (CAs, error) {
	var state CAs
	err := onHost(ctx, dataDir, func(store *catalog.Catalog, folder string) (err error) {
		state, err = casOf(ctx, store, folder, now)
		return err
	})
	return state, err
}

// RotateCA makes the next CA. The control plane may be running: it certifies by the new one from
// then on, anyone who has come to trust it. fleet.ErrConflict means that the last rotation is not
// over.
func RotateCA(ctx context.Context, dataDir string, now time.Time) (CAs, error) {
	var state CAs
	err := onHost(ctx, dataDir, func(store *catalog.Catalog, folder string) error {
		before, err := casOf(ctx, store, folder, now)
		if err != nil {
			return err
		}
		err = inAuditLog(ctx, store, now, "ca.rotate", before.Authorities[0].Fingerprint, "", func() error {
			_, err := pki.RotateCA(folder, now)
			return err
		})
		if errors.Is(err, pki.ErrRotating) {
			return fleet.NewProblem(fleet.ErrConflict, "the last rotation is not over: there are two CAs").
				WithHint("pgharbor-controlplane ca list --data-dir %s, then ca retire", dataDir)
		}
		if err != nil {
			return err
		}
		state, err = casOf(ctx, store, folder, now)
		return err
	})
	return state, err
}

// RetireCA removes the older CA, with its key. fleet.ErrConflict means that somebody would be
// locked out by that, and leaves all as it is, unless forced.
func RetireCA(ctx context.Context, dataDir string, force bool, now time.Time) (CAs, error) {
	var state CAs
	err := onHost(ctx, dataDir, func(store *catalog.Catalog, folder string) error {
		before, err := casOf(ctx, store, folder, now)
		switch {
		case err != nil:
			return err
		case len(before.Authorities) < 2:
			return fleet.NewProblem(fleet.ErrConflict, "there is one CA only, and nothing to retire").
				WithHint("pgharbor-controlplane ca rotate --data-dir %s", dataDir)
		case len(before.Behind) > 0 && !force:
			return fleet.NewProblem(fleet.ErrConflict, "%d would be locked out, the first of them %s: %s",
				len(before.Behind), before.Behind[0].Who, before.Behind[0].Why).
				WithHint("pgharbor-controlplane ca list --data-dir %s names them all; revoke those who are gone, or retire with --force and enrol them again", dataDir)
		}
		oldest := before.Authorities[len(before.Authorities)-1].Fingerprint
		detail := fmt.Sprintf("%d locked out", len(before.Behind))
		if err := inAuditLog(ctx, store, now, "ca.retire", oldest, detail, func() error { return pki.RetireCA(folder) }); err != nil {
			return err
		}
		state, err = casOf(ctx, store, folder, now)
		return err
	})
	return state, err
}

// onHost runs f with the catalog of a data folder. It keeps root out of a folder of
// the service's own user, who could not read what root writes there.
func onHost(ctx context.Context, dataDir string, f func(store *catalog.Catalog, folder string) error) (err error) {
	if info, err := os.Stat(dataDir); err == nil && os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 0 {
		owner := info.Sys().(*syscall.Stat_t).Uid
		return fleet.NewProblem(fleet.ErrConflict, "%s belongs to the user with the id %d, and this is root", dataDir, owner).
			WithHint("run it as that user: sudo -u '#%d' …", owner)
	}
	store, done, err := openOnHost(ctx, dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return f(store, filepath.Join(dataDir, pkiFolder))
}

func inAuditLog(ctx context.Context, store *catalog.Catalog, now time.Time, action, fingerprint, detail string, f func() error) error {
	auditLog := &audit.Log{Store: store.AuditLog, Now: func() time.Time { return now }}
	return auditLog.Do(ctx, audit.Action{Actor: chain.ActorHost, Action: action, Target: "ca:" + fingerprint, Detail: detail}, f)
}

func casOf(ctx context.Context, store *catalog.Catalog, folder string, now time.Time) (CAs, error) {
	authorities, err := pki.LoadAuthorities(folder)
	if err != nil {
		return CAs{}, err
	}
	certs := authorities.Certificates()
	state := CAs{Authorities: describe(certs), Behind: []Behind{}}
	if len(certs) < 2 {
		return state, nil
	}
	newest := pki.Fingerprint(certs[0])
	holders, err := store.Identities.Holders(ctx)
	if err != nil {
		return CAs{}, err
	}
	for _, h := range holders {
		if why := behind(h, newest, now); why != "" {
			state.Behind = append(state.Behind, Behind{Who: h.String(), EnrolledAt: h.EnrolledAt, EndsAt: h.EndsAt, Why: why})
		}
	}
	invites, err := store.Invites.Open(ctx, now)
	for _, i := range invites {
		state.Behind = append(state.Behind, Behind{
			Who: fmt.Sprintf("invite for %s:%s", i.Kind, i.Name), EndsAt: i.ExpiresAt, Why: "invites name the older CA until it is retired",
		})
	}
	return state, err
}

func describe(certs []*x509.Certificate) []Authority {
	var all []Authority
	for n, cert := range certs {
		certifies := "agents, people and the control plane"
		switch {
		case len(certs) > 1 && n == 0:
			certifies = "agents and people"
		case len(certs) > 1:
			certifies = "the control plane, until it is retired"
		}
		all = append(all, Authority{Fingerprint: pki.Fingerprint(cert), MadeAt: pki.MadeAt(cert), EndsAt: cert.NotAfter, Certifies: certifies})
	}
	return all
}

// behind reports why a holder still needs an older CA, or nothing. Whose certificate
// has ended is out already.
func behind(h catalog.Holder, newest string, now time.Time) string {
	switch {
	case !h.EndsAt.IsZero() && now.After(h.EndsAt):
		return ""
	case !slices.Contains(h.Trusts, newest):
		return "it has not been heard of since the rotation, or is older than CA rotation"
	case h.Issuer != newest:
		return "it trusts the new CA, and its certificate is still of the older one"
	default:
		return ""
	}
}
