package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// preflight is what stands in the way of a restore, as far as it can be seen without touching anything.
type preflight struct {
	checklist
	wish
	instance *postgres.Instance
	files    *fileReader
	to       listener

	server postgres.Server
	asked  bool        // the server answers
	source *source     // nil where the file can't be opened
	format string      // of the dump; "" where it is not known
	head   []byte      // of the dump
	needs  *scan.Needs // nil where only the whole dump tells
}

// wish is what is asked of a restore, as far as that decides whether it can go through. Its fields are those of RestoreRequest.
type wish struct {
	manifest                *Manifest
	target, withRoles       string
	replace                 bool
	sandboxed, trustContent bool
}

// preflight begins a look at what stands in the way of a restore.
func (r *Restorer) preflight(req RestoreRequest) *preflight {
	return &preflight{
		wish: wish{
			manifest: req.Manifest, target: req.Target, withRoles: req.WithRoles, replace: req.Replace,
			sandboxed: req.Sandboxed, trustContent: req.TrustContent,
		},
		instance: r.instance, files: r.files, to: listener{clock: r.clock, onProgress: req.OnProgress},
	}
}

// Preview makes the checks before a restore and returns what it sees, a line for each thing; the restore would begin where none
// failed. A file whose manifest does not say what its dump needs is read as a whole.
func (r *Restorer) Preview(ctx context.Context, req RestoreRequest) []PreflightCheck {
	look := r.preflight(req)
	file, err := openFrom(req.From)
	if err != nil {
		look.fail("file", err, "")
		return look.checks
	}
	defer file.Close()
	look.begin(ctx, file)
	if look.source != nil && look.needs == nil {
		look.readWhole(ctx, file)
	}
	look.end(ctx)
	return look.checks
}

// Preflight makes the checks for which the manifest is enough, of a file that is elsewhere still, and returns a
// *PreflightError where one fails.
func (r *Restorer) Preflight(ctx context.Context, req RestoreRequest) error {
	look := r.preflight(req)
	look.begin(ctx, nil)
	look.end(ctx)
	return look.failed(ctx)
}

// beforeReading makes the checks that can be made before the whole file is read; its error says which failed.
func (p *preflight) beforeReading(ctx context.Context, file Object) error {
	p.begin(ctx, file)
	if p.needs != nil {
		p.end(ctx)
	}
	return p.failed(ctx)
}

// afterReading makes the checks that are left once the dump itself has told what it needs.
func (p *preflight) afterReading(ctx context.Context, needs *scan.Needs) error {
	if p.needs == nil {
		p.needs = needs
		p.end(ctx)
	}
	return p.failed(ctx)
}

// begin makes the checks that need no more of the dump than its head and its manifest. The file may be elsewhere: then it
// is nil.
func (p *preflight) begin(ctx context.Context, file Object) {
	if err := p.manifest.Restorable(); err != nil {
		p.fail("file", err, "upgrade pgharbor on this host, or restore another backup")
		return
	}
	if p.manifest != nil {
		p.needs, p.format = p.manifest.knownNeeds(), p.manifest.Format
	}
	if file != nil {
		p.checkFile(ctx, file)
	}
	var err error
	if p.server, err = p.instance.Server(ctx); err != nil {
		p.fail("server", err, "see pgharbor-agent check")
		return
	}
	p.asked = true
	p.ok("server", fmt.Sprintf("PostgreSQL %s as %s", p.server.Version, p.server.CurrentUser))
	p.checkTarget(ctx)
	p.checkRights(ctx)
	p.checkVersions(ctx)
	p.checkTool(ctx)
	p.checkLocale(ctx)
	p.checkSpace(ctx)
}

// end makes the checks of what the dump needs, once that is known.
func (p *preflight) end(ctx context.Context) {
	if !p.asked || p.needs == nil {
		return
	}
	p.checkExtensions(ctx)
	p.checkRoles(ctx)
	p.checkOwners(ctx)
	p.checkLogins(ctx)
	p.checkMissing(ctx, "tablespaces", postgres.Tablespaces, p.needs.Tablespaces, "make them first: CREATE TABLESPACE … LOCATION …")
	p.checkEventTriggers()
}

// checkFile opens the head of the file, which tells whether the passphrase is right.
func (p *preflight) checkFile(ctx context.Context, file Object) {
	src, err := p.files.open(ctx, file, p.manifest, p.reading(file))
	switch {
	case errors.Is(err, ErrNoPassphrase):
		p.fail("file", err, "set BACKUP_ENCRYPT_PASSPHRASE_FILE")
		return
	case errors.Is(err, ErrWrongPassphrase):
		p.fail("file", err, "the one of that time belongs into BACKUP_OLD_PASSPHRASES_FILE")
		return
	case err != nil:
		p.fail("file", err, "restore another backup")
		return
	}
	p.source, p.format, p.head = src, src.format, src.head
	detail := "not sealed"
	if src.opener != nil {
		detail = "sealed, and the passphrase opens it"
	}
	if p.manifest == nil {
		p.warn("file", src.format+" format, "+detail+"; it has no manifest, so only its end marker will tell that it is whole", "")
		return
	}
	p.ok("file", src.format+" format, "+detail)
}

// readWhole verifies the file, to learn what its dump needs.
func (p *preflight) readWhole(ctx context.Context, file Object) {
	found, err := p.files.verify(ctx, file, p.manifest, p.reading(file))
	if err != nil {
		p.fail("content", err, "restore another backup")
		return
	}
	p.needs = &found.needs
	p.ok("content", fmt.Sprintf("read as a whole, to its end marker; %d tables", len(found.tables)))
}

// reading reports how far the file is read.
func (p *preflight) reading(file Object) *reporter {
	var size int64
	if file != nil {
		size = file.Size()
	}
	return p.to.begin(PhaseVerify, size)
}
