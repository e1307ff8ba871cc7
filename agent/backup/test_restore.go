package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/throwaway"
)

// provedDatabase is the database of a throwaway server.
const testDatabase = "proof"

// TestRestoreRequest asks to restore a file for a test.
type TestRestoreRequest struct {
	// From and Manifest are as in RestoreRequest.
	From     Source
	Manifest *Manifest
	// ID names what is temporary, as RestoreRequest.RestoreID does.
	ID string
	// Dir is the folder in which a throwaway server gets one of its own, ThrowawayDir, with at least the dump's size free.
	Dir string
	// Bin is the folder of the server's programs; empty means to look for them.
	Bin string
	// InInstance allows a temporary database of the instance where no server's programs are at hand.
	InInstance bool
	// WithoutCage lets a throwaway server run with nothing that holds it.
	WithoutCage bool
	// Sandboxed says, as in RestoreRequest, that nobody knows who made the file.
	Sandboxed  bool
	OnProgress func(Progress) // as in BackupRequest
}

// ThrowawayDir is the folder that the server of a test restore lives in: who records it before can remove it after a crash.
func (r TestRestoreRequest) ThrowawayDir() string {
	return filepath.Join(r.Dir, throwaway.Prefix+r.ID)
}

// TestRestorer restores stored files for a test.
type TestRestorer struct {
	instance *postgres.Instance // like which throwaway servers are made, and which has roles to name
	keys     seal.Ring
	jobs     int // sessions of a restore at a time
	clock    clock
}

// Run verifies a file, restores it where it is in nobody's way, counts the rows of every table against the manifest, and
// removes all of that. A TestRestore, also a failed one, speaks of the backup; an error says that nothing was proven either way:
// no room, no server, no cage for it, no passphrase, the end of ctx. What is temporary is gone on return, unless the server is: then
// CleanUp and throwaway.Remove remove the rest.
func (t *TestRestorer) Run(ctx context.Context, req TestRestoreRequest) (_ TestRestore, err error) {
	if !restoreIDs.MatchString(req.ID) {
		return TestRestore{}, fmt.Errorf("%q is no id of a proof", req.ID)
	}
	if err := req.Manifest.Restorable(); err != nil {
		return TestRestore{}, err
	}
	file, err := openFrom(req.From)
	if err != nil {
		return TestRestore{}, err
	}
	defer file.Close()
	begun := t.clock()
	p := &testRun{live: t.instance, req: req, file: file, clock: t.clock}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	remove, err := p.makeRoom(ctx)
	if err != nil {
		return TestRestore{}, err
	}
	p.files, p.loader = &fileReader{keys: t.keys, instance: p.instance}, &loader{instance: p.instance, jobs: t.jobs}
	defer func() { err = errors.Join(err, remove()) }()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		p.watchSpace(ctx, stop)
	}()
	defer func() { stop(nil); <-watched }()
	return p.conclude(begun, p.restoreAndCount(ctx))
}

// testRun is a test restore under way.
type testRun struct {
	live       *postgres.Instance
	req        TestRestoreRequest
	file       Object
	clock      clock
	instance   *postgres.Instance // that is restored into, and what reads and loads for it
	files      *fileReader
	loader     *loader
	server     *throwaway.Server // nil where it is the instance's own
	trusting   bool              // a guarded load was tried and did not go through
	refused    error             // how it ended
	unfilled   bool              // materialized views are left empty: what they read is out of reach
	searchPath string            // to load with; "" is none, as the dump has it
	counted    []counted         // by the load itself, where the instance's superuser is to plan no query of the dump's tables
	database   string
	dir        string // whose room is watched; "" where it is not ours to see
	result     TestRestore
}

// makeRoom starts a throwaway server or, where that is allowed and there is none, uses the instance.
func (p *testRun) makeRoom(ctx context.Context) (remove func() error, err error) {
	major, tables := 0, 0
	if m := p.req.Manifest; m != nil {
		major, _ = strconv.Atoi(strings.Split(m.ServerVersion, ".")[0]) // 0 where it does not say
		tables = len(m.Tables)
	}
	p.dir = p.req.Dir
	if err := p.enoughSpace(); err != nil {
		return nil, err
	}
	server, err := throwaway.Start(ctx, p.live, throwaway.Request{
		Dir: p.req.ThrowawayDir(), Bin: p.req.Bin, Major: major, Tables: tables,
		WithoutCage: p.req.WithoutCage,
	})
	switch {
	case err == nil:
		p.server, p.instance, p.database = server, server.Instance, testDatabase
		p.result.Method, p.result.ServerVersion, p.result.Cage = TestRestoreThrowaway, server.Version, cageOf(server)
		return server.Close, nil
	case errors.Is(err, throwaway.ErrNoCage):
		return nil, fmt.Errorf("%w; BACKUP_VERIFY_WITHOUT_CAGE=true allows a test restore that nothing holds", err)
	case !errors.Is(err, postgres.ErrNoBinaries):
		return nil, err
	case !p.req.InInstance:
		return nil, fmt.Errorf("%w; BACKUP_VERIFY_IN_INSTANCE=true allows a temporary database of the instance", err)
	}
	return p.useInstance(ctx)
}

// useInstance restores into a temporary database of the instance.
func (p *testRun) useInstance(ctx context.Context) (remove func() error, err error) {
	server, err := p.live.Server(ctx)
	if err != nil {
		return nil, err
	}
	p.instance, p.database, p.dir = p.live, temporaryPrefix+p.req.ID, ""
	p.result.Method, p.result.ServerVersion = TestRestoreInstance, server.Version
	return func() error {
		dropCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		return errors.Join(p.live.DropDatabase(dropCtx, p.database), dropOwnRoles(dropCtx, p.live, p.database))
	}, nil
}

// cageOf says what holds a server, and what that leaves open.
func cageOf(server *throwaway.Server) string {
	if server.Cage == nil {
		return "none, as BACKUP_VERIFY_WITHOUT_CAGE allows"
	}
	return server.Cage.String()
}

// restoreAndCount does what its name says. Its error may be the backup's fault, or may not.
func (p *testRun) restoreAndCount(ctx context.Context) error {
	begun := p.clock()
	found, err := p.files.verify(ctx, p.file, p.req.Manifest, p.clock.begin(p.req.OnProgress, PhaseVerify, p.file.Size()))
	if err == nil {
		err = p.fill(ctx, found)
	}
	p.result.RestoreTook = p.clock().Sub(begun)
	if err != nil {
		return err
	}
	got := p.counted
	if p.server != nil {
		if got, err = p.count(ctx, p.instance); err != nil {
			return err
		}
	}
	want := found.tables
	if told, known := p.req.Manifest.countedTables(); known {
		want = told
	}
	p.result.Differences = compare(want, got)
	p.result.Tables = len(got)
	for _, table := range got {
		p.result.Rows += table.Rows
	}
	return nil
}

// count counts the rows of every table that there is, in sessions of an instance's role.
func (p *testRun) count(ctx context.Context, as *postgres.Instance) ([]counted, error) {
	tables, err := p.instance.Tables(ctx, p.database)
	if err != nil {
		return nil, err
	}
	progress := p.clock.begin(p.req.OnProgress, PhaseCompare, 0).of(len(tables))
	counts, err := as.CountRows(ctx, p.database, tables, progress.object)
	all := make([]counted, len(counts))
	for n, count := range counts {
		all[n] = counted{tables[n], count}
	}
	return all, err
}

// conclude makes a result of how it went, where that says something of the backup.
func (p *testRun) conclude(begun time.Time, err error) (TestRestore, error) {
	if err != nil && !p.blamesBackup(err) {
		return TestRestore{}, err
	}
	p.result.State = TestRestoreSucceeded
	if err != nil {
		p.result.Differences, p.result.Cause = []string{p.told(err)}, err
	}
	if len(p.result.Differences) > 0 {
		p.result.State = TestRestoreFailed
	}
	p.result.FinishedAt = p.clock().UTC()
	p.result.Took = p.clock().Sub(begun)
	return p.result, nil
}

// blamesBackup reports whether an error is the backup's own: it is not what was stored, or a server that lacks nothing refuses it.
func (p *testRun) blamesBackup(err error) bool {
	if Failure(err) == FailureIntegrity || errors.Is(err, ErrForeign) {
		return true
	}
	if p.server == nil && postgres.RefusesRows(err) {
		return true
	}
	var load loadError
	var tool *postgres.ToolError
	loading := p.server != nil && errors.As(err, &load) || errors.As(err, &tool) && (tool.Tool == "psql" || tool.Tool == "pg_restore")
	return loading && !postgres.BlamesServer(err)
}
