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

// nameTime is the time in a file's name, in the zone of the agent.
const nameTime = "2006-01-02-15-04-05"

// Dumper takes backups: of one database one at a time.
type Dumper struct {
	instance     *postgres.Instance
	store        Store
	repository   *Repository
	keys         seal.Ring
	certifier    *certifier
	marks        *Marks
	instanceName string
	format       string         // postgres.FormatPlain or FormatCustom
	compression  string         // CompressionNone or CompressionZstd
	location     *time.Location // of the time in file names
	clock        clock
}

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
func (d *Dumper) Backup(ctx context.Context, req BackupRequest) (Manifest, error) {
	if !utf8.ValidString(req.Database) {
		return Manifest{}, fmt.Errorf("the name of database %q is not UTF-8, so no manifest can hold it", req.Database)
	}
	manifest, err := d.describe(ctx, req)
	if err != nil {
		return Manifest{}, err
	}
	unlock, err := d.store.Lock(req.Database)
	if errors.Is(err, store.ErrLocked) {
		return Manifest{}, fmt.Errorf("%w: %q", ErrBusy, req.Database)
	}
	if err != nil {
		return Manifest{}, err
	}
	defer unlock()
	file, err := d.store.Create(req.Database, d.baseName(manifest), req.RunID)
	if err != nil {
		return Manifest{}, err
	}
	if req.ForOthers {
		if file, err = store.KeepReserve(d.store, file); err != nil {
			return Manifest{}, errors.Join(err, file.Abort())
		}
	}
	if err := d.write(ctx, req, &manifest, file); err != nil {
		return Manifest{}, errors.Join(err, file.Abort())
	}
	_, err = file.Commit(func(loc store.Location) ([]byte, error) {
		manifest.Filename = loc.File
		if manifest.Globals != nil {
			manifest.Globals.Filename = store.GlobalsName(loc.File)
		}
		manifest.FinishedAt = d.clock().UTC()
		return d.certifier.certify(&manifest)
	})
	if err != nil {
		return Manifest{}, err
	}
	return manifest, nil
}

// describe begins the manifest with what is known before the dump.
func (d *Dumper) describe(ctx context.Context, req BackupRequest) (Manifest, error) {
	database, err := d.instance.Database(ctx, req.Database)
	if err != nil {
		return Manifest{}, err
	}
	started := d.clock().UTC()
	m := Manifest{
		Version: ManifestVersion, ID: random.ID(), RunID: req.RunID, Instance: d.instanceName,
		Format: d.format, Compression: d.compression,
		Encryption: d.keys.Encryption(), CreatedAt: started, StartedAt: started, Trigger: req.Trigger,
		Encoding: database.Encoding, Collation: database.Collate, CType: database.CType,
		LocaleProvider: database.LocaleProvider, Locale: database.Locale,
	}
	m = m.ofSeries(subject.LogicalOf(req.Database))
	m.UnknownOrigin, err = d.marks.Of(ctx, req.Database)
	if errors.Is(err, ErrMarks) { // no reason for having no backup
		m.Warnings, err = append(m.Warnings, "it is restored confined: "+err.Error()), nil
	}
	return m, err
}

// baseName is the name of the file, which says what is in it.
func (d *Dumper) baseName(m Manifest) string {
	name := "backup-" + m.StartedAt.In(d.location).Format(nameTime) + "." + m.Series().Kind.Ending(m.Format)
	if m.Compression == CompressionZstd {
		name += ".zst"
	}
	if m.Encryption.Scheme != seal.SchemeNone {
		name += ".enc"
	}
	return name
}

// write puts the dump into file and, read at the same time, the globals beside it.
func (d *Dumper) write(ctx context.Context, req BackupRequest, m *Manifest, file store.Pending) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	globals := collectGlobals(ctx, d.instance, req.Database)
	words, err := d.dump(ctx, req, m, file)
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
	return d.addGlobals(m, file, collected)
}

// tell passes words on, where there are some.
func (r BackupRequest) tell(words string) {
	if words = strings.TrimSpace(words); words != "" && r.OnWords != nil {
		r.OnWords(words)
	}
}

// dump runs pg_dump through the pipeline into file, completes the manifest with what it saw, and returns pg_dump's words.
func (d *Dumper) dump(ctx context.Context, req BackupRequest, m *Manifest, file io.Writer) (words string, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stored := newMeter(file)
	sink, err := wrap(d.keys, *m, stored)
	if err != nil {
		return "", err
	}
	dump, err := d.instance.Dump(ctx, req.Database, m.Format)
	if err != nil {
		return "", err
	}
	defer dump.Close()
	inspector := inspect(ctx, d.instance, dump.Server, m.Format)
	plain := newMeter(inspector)
	progress := d.clock.begin(req.OnProgress, PhaseDump, d.repository.lastSize(m.Series()))

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

func wrap(keys seal.Ring, m Manifest, file io.Writer) (*wrapper, error) {
	w := &wrapper{Writer: file}
	if m.Encryption.Scheme != seal.SchemeNone {
		sealer, err := keys.Encrypt(w.Writer)
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
