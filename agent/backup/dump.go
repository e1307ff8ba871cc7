package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// nameTime is the time in a file's name, in the engine's zone.
const nameTime = "2006-01-02-15-04-05"

// BackupRequest asks for a backup of one database.
type BackupRequest struct {
	RunID    string // 1 to 64 characters of [a-z0-9-]
	Database string
	Trigger  string // TriggerSchedule or TriggerManual
	// ForOthers says that somebody else than the host asks for it: it leaves the reserve of the disk free.
	ForOthers  bool
	OnProgress func(Progress) // may be nil; called now and then, from one goroutine at a time
	// OnWords, which may be nil, hears the words of the server and the tools behind the warnings of a backup that was made.
	// They may quote rows, and are for this host alone.
	OnWords func(words string)
}

// Backup dumps one database into the store and returns the manifest that was stored with it. After an error, the end of
// ctx included, nothing of the backup is left in the store. ErrBusy where the database's lock is taken.
func (e *Engine) Backup(ctx context.Context, req BackupRequest) (Manifest, error) {
	if !utf8.ValidString(req.Database) {
		return Manifest{}, fmt.Errorf("the name of database %q is not UTF-8, so no manifest can hold it", req.Database)
	}
	manifest, err := e.describe(ctx, req)
	if err != nil {
		return Manifest{}, err
	}
	unlock, err := e.Store.Lock(req.Database)
	if errors.Is(err, store.ErrLocked) {
		return Manifest{}, fmt.Errorf("%w: %q", ErrBusy, req.Database)
	}
	if err != nil {
		return Manifest{}, err
	}
	defer unlock()
	file, err := e.Store.Create(req.Database, e.baseName(manifest), req.RunID)
	if err != nil {
		return Manifest{}, err
	}
	if req.ForOthers {
		if file, err = store.KeepReserve(e.Store, file); err != nil {
			return Manifest{}, errors.Join(err, file.Abort())
		}
	}
	if err := e.write(ctx, req, &manifest, file); err != nil {
		return Manifest{}, errors.Join(err, file.Abort())
	}
	_, err = file.Commit(func(loc store.Location) ([]byte, error) {
		manifest.Filename = loc.File
		if manifest.Globals != nil {
			manifest.Globals.Filename = store.GlobalsName(loc.File)
		}
		manifest.FinishedAt = e.Now().UTC()
		return e.certify(&manifest)
	})
	if err != nil {
		return Manifest{}, err
	}
	return manifest, nil
}

// describe begins the manifest with what is known before the dump.
func (e *Engine) describe(ctx context.Context, req BackupRequest) (Manifest, error) {
	database, err := e.Instance.Database(ctx, req.Database)
	if err != nil {
		return Manifest{}, err
	}
	started := e.Now().UTC()
	m := Manifest{
		Version: ManifestVersion, ID: random.ID(), RunID: req.RunID, Instance: e.InstanceName,
		Format: cmp.Or(e.Format, postgres.FormatPlain), Compression: cmp.Or(e.Compression, CompressionNone),
		Encryption: e.Keys.Encryption(), CreatedAt: started, StartedAt: started, Trigger: req.Trigger,
		Encoding: database.Encoding, Collation: database.Collate, CType: database.CType,
		LocaleProvider: database.LocaleProvider, Locale: database.Locale,
	}
	m = m.ofSeries(subject.LogicalOf(req.Database))
	m.Unproven, err = e.Unproven(ctx, req.Database)
	if errors.Is(err, ErrMarks) { // no reason for having no backup
		m.Warnings, err = append(m.Warnings, "it is restored confined: "+err.Error()), nil
	}
	return m, err
}

// baseName is the name of the file, which says what is in it.
func (e *Engine) baseName(m Manifest) string {
	name := "backup-" + m.StartedAt.In(e.location()).Format(nameTime) + "." + m.Series().Kind.Ending(m.Format)
	if m.Compression == CompressionZstd {
		name += ".zst"
	}
	if m.Encryption.Scheme != seal.SchemeNone {
		name += ".enc"
	}
	return name
}

func (e *Engine) location() *time.Location { return cmp.Or(e.Location, time.UTC) }

// write puts the dump into file and, read at the same time, the globals beside it.
func (e *Engine) write(ctx context.Context, req BackupRequest, m *Manifest, file store.Pending) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	globals := e.collectGlobals(ctx, req.Database)
	words, err := e.dump(ctx, req, m, file)
	if err != nil {
		stop()
	}
	collected := <-globals
	if err != nil {
		return err
	}
	req.tell(words + "\n" + postgres.Words(collected.err))
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return e.addGlobals(m, file, collected)
}

// tell passes words on, where there are some.
func (r BackupRequest) tell(words string) {
	if words = strings.TrimSpace(words); words != "" && r.OnWords != nil {
		r.OnWords(words)
	}
}

// dump runs pg_dump through the pipeline into file, completes the manifest with what it saw, and returns pg_dump's words.
func (e *Engine) dump(ctx context.Context, req BackupRequest, m *Manifest, file io.Writer) (words string, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stored := newMeter(file)
	sink, err := e.wrap(*m, stored)
	if err != nil {
		return "", err
	}
	dump, err := e.Instance.Dump(ctx, req.Database, m.Format)
	if err != nil {
		return "", err
	}
	defer dump.Close()
	inspector := e.inspect(ctx, dump.Server, m.Format)
	plain := newMeter(inspector)
	progress := e.begin(req.OnProgress, PhaseDump, e.lastSize(m.Series()))

	err = distribute(ctx, stop, dump, progress.add, plain, sink)
	// finish of all that was begun, and the first error.
	if err := cmp.Or(err, inspector.finish(err), sink.finish(err)); err != nil {
		return "", err
	}
	m.SizeBytes, m.SHA256 = stored.size, stored.sum()
	m.PlainSizeBytes, m.PlainSHA256 = plain.size, plain.sum()
	m.ServerVersion, m.PgDumpVersion = dump.Server.Version, dump.Tool.Version
	m.Complete, m.Warnings, m.Tables = true, append(m.Warnings, dump.Warnings()...), inspector.Tables()
	needs := inspector.Needs()
	m.Needs = &needs
	return dump.Words(), context.Cause(ctx)
}

// wrapper compresses and seals what is written to it, as the manifest says.
type wrapper struct {
	io.Writer
	closers []io.Closer // from the inside out
}

func (e *Engine) wrap(m Manifest, file io.Writer) (*wrapper, error) {
	w := &wrapper{Writer: file}
	if m.Encryption.Scheme != seal.SchemeNone {
		sealer, err := e.Keys.Encrypt(w.Writer)
		if err != nil {
			return nil, err
		}
		w.Writer, w.closers = sealer, append(w.closers, sealer)
	}
	if m.Compression == CompressionZstd {
		// The fastest level, without goroutines of its own: the dump has the processors. It passes over what has no
		// repetitions, such as numbers and bytes in hexadecimal; to code that by frequency too costs little and saves a third.
		encoder, err := zstd.NewWriter(w.Writer, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20), zstd.WithAllLitEntropyCompression(true))
		if err != nil {
			return nil, err
		}
		w.Writer, w.closers = encoder, append(w.closers, encoder)
	}
	return w, nil
}

// finish writes what the layers still hold, unless the stream is broken.
func (w *wrapper) finish(broken error) error {
	if broken != nil {
		return nil
	}
	for n := len(w.closers) - 1; n >= 0; n-- {
		if err := w.closers[n].Close(); err != nil {
			return err
		}
	}
	return nil
}

// lastSize is the plain size of the newest backup of a series, as an estimate of the next; 0 where there is none.
func (e *Engine) lastSize(series subject.Series) (size int64) {
	inventory, _ := e.Inventory() // an estimate may do without what can't be read
	for _, stored := range inventory {
		if stored.Series() == series && stored.PlainSizeBytes > 0 {
			size = stored.PlainSizeBytes
		}
	}
	return size
}
