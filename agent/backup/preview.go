package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// lookAhead is what stands in the way of a restore, as far as it can be seen without touching anything.
type lookAhead struct {
	checklist
	*Engine
	req RestoreRequest

	server postgres.Server
	asked  bool    // the server answers
	source *source // nil where the file can't be opened
	format string  // of the dump; "" where it is not known
	head   []byte  // of the dump
	needs  *Needs  // nil where only the whole dump tells
}

// Preview looks ahead to a restore and returns what it sees, a line for each thing; the restore would begin where none
// failed. A file whose manifest does not say what its dump needs is read as a whole.
func (e *Engine) Preview(ctx context.Context, req RestoreRequest) []Check {
	look := &lookAhead{Engine: e, req: req}
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

// LookAhead makes the checks for which the manifest is enough, of a file that is elsewhere still, and returns a
// *ChecksError where one fails.
func (e *Engine) LookAhead(ctx context.Context, req RestoreRequest) error {
	look := &lookAhead{Engine: e, req: req}
	look.begin(ctx, nil)
	look.end(ctx)
	return look.failed(ctx)
}

// begin makes the checks that need no more of the dump than its head and its manifest. The file may be elsewhere: then it
// is nil.
func (l *lookAhead) begin(ctx context.Context, file Object) {
	if err := l.req.Manifest.Restorable(); err != nil {
		l.fail("file", err, "upgrade pgharbor on this host, or restore another backup")
		return
	}
	if l.req.Manifest != nil {
		l.needs, l.format = l.req.Manifest.knownNeeds(), l.req.Manifest.Format
	}
	if file != nil {
		l.checkFile(ctx, file)
	}
	var err error
	if l.server, err = l.Instance.Server(ctx); err != nil {
		l.fail("server", err, "see pgharbor-agent check")
		return
	}
	l.asked = true
	l.ok("server", fmt.Sprintf("PostgreSQL %s as %s", l.server.Version, l.server.CurrentUser))
	l.checkTarget(ctx)
	l.checkRights(ctx)
	l.checkVersions(ctx)
	l.checkTool(ctx)
	l.checkLocale(ctx)
	l.checkSpace(ctx)
}

// end makes the checks of what the dump needs, once that is known.
func (l *lookAhead) end(ctx context.Context) {
	if !l.asked || l.needs == nil {
		return
	}
	l.checkExtensions(ctx)
	l.checkRoles(ctx)
	l.checkOwners(ctx)
	l.checkLogins(ctx)
	l.checkMissing(ctx, "tablespaces", postgres.Tablespaces, l.needs.Tablespaces, "make them first: CREATE TABLESPACE … LOCATION …")
	l.checkEventTriggers()
}

// checkFile opens the head of the file, which tells whether the passphrase is right.
func (l *lookAhead) checkFile(ctx context.Context, file Object) {
	src, err := l.open(ctx, file, l.req.Manifest, l.reading(file))
	switch {
	case errors.Is(err, ErrNoPassphrase):
		l.fail("file", err, "set BACKUP_ENCRYPT_PASSPHRASE_FILE")
		return
	case errors.Is(err, ErrWrongPassphrase):
		l.fail("file", err, "the one of that time belongs into BACKUP_OLD_PASSPHRASES_FILE")
		return
	case err != nil:
		l.fail("file", err, "restore another backup")
		return
	}
	l.source, l.format, l.head = src, src.format, src.head
	detail := "not sealed"
	if src.opener != nil {
		detail = "sealed, and the passphrase opens it"
	}
	if l.req.Manifest == nil {
		l.warn("file", src.format+" format, "+detail+"; it has no manifest, so only its end marker will tell that it is whole", "")
		return
	}
	l.ok("file", src.format+" format, "+detail)
}

// readWhole verifies the file, to learn what its dump needs.
func (l *lookAhead) readWhole(ctx context.Context, file Object) {
	found, err := l.verify(ctx, file, l.req.Manifest, l.reading(file))
	if err != nil {
		l.fail("content", err, "restore another backup")
		return
	}
	l.needs = &found.needs
	l.ok("content", fmt.Sprintf("read as a whole, to its end marker; %d tables", len(found.tables)))
}

// reading reports how far the file is read.
func (l *lookAhead) reading(file Object) *reporter {
	var size int64
	if file != nil {
		size = file.Size()
	}
	return l.Engine.begin(l.req.OnProgress, PhaseVerify, size)
}
