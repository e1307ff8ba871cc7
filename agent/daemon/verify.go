package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/agent/throwaway"
)

func (c *command) newVerify() *cobra.Command {
	var origin originFlags
	cmd := &cobra.Command{
		Use:   "verify FILE|ID",
		Short: "Prove that a backup restores, in a throwaway server",
		Long: `Verify restores a backup into a server of its own, which it starts from the binaries
at hand in a private folder and which nobody can reach, counts the rows of every table
against the manifest, and removes all of that again. The instance is not touched. What
becomes of a stored backup, given by its id, is remembered and reported.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.verify(cmd.Context(), args[0], origin)
		},
	}
	cmd.Flags().StringVar(&origin.from, "from-instance", "", "the instance that the file is of, if another one made it and only the passphrase shows that")
	cmd.Flags().BoolVar(&origin.unsigned, "unsigned", false, "load a file of unknown origin, sandboxed, also with a psql that is known to be vulnerable")
	cmd.Flags().BoolVar(&origin.trust, "trust-origin", false, "load a file of unknown origin as your own: you know who made it")
	return cmd
}

func (c *command) verify(ctx context.Context, what string, said originFlags) (err error) {
	_, statErr := os.Lstat(what)
	isFile, opened := statErr == nil, toRestore
	if !isFile {
		opened = toBackUp
	}
	a, err := openAgent(c, opened)
	if err != nil {
		return err
	}
	a.fromInstance = said.from
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.runner.Recovery.RecoverRestores(ctx); err != nil {
		c.log.Error("not all that an earlier run left could be taken up", "error", err)
	}
	var testRestore backup.Proof
	heldAgainst := "as its manifest says"
	if isFile {
		testRestore, heldAgainst, err = a.verifyFile(ctx, what, said.consent())
	} else {
		testRestore, err = a.runner.Verifier.VerifyBackup(ctx, what, nil)
	}
	switch {
	case !isFile && errors.Is(err, backup.ErrNotFound):
		return withHint(fmt.Errorf("verify %s: %w", what, err), "it is neither a file nor the id of a backup in BACKUP_DIR")
	case errors.Is(err, fs.ErrPermission):
		return withHint(fmt.Errorf("verify %s: %w", what, err), "BACKUP_VERIFY_DIR names a folder that this user may write to")
	case err != nil:
		return fmt.Errorf("verify %s: %w", oneLine(what), err)
	}
	_, err = fmt.Fprintf(c.Stdout, "%s restores: %d tables with %d rows, %s, by PostgreSQL %s; the restore took %s\n",
		oneLine(what), testRestore.Tables, testRestore.Rows, heldAgainst, testRestore.ServerVersion, testRestore.RestoreTook.Round(100*time.Millisecond))
	if err == nil && testRestore.Refuses != "" {
		_, err = fmt.Fprintf(c.Stderr, "a restore into a live server will refuse it without --trust-content: %s\n", oneLine(testRestore.Refuses))
	}
	return err
}

// verifyFile also reports what the rows were held against.
func (a *agent) verifyFile(ctx context.Context, path string, consent job.Consent) (testRestore backup.Proof, heldAgainst string, err error) {
	file, err := findFile(path)
	if err != nil {
		return testRestore, "", err
	}
	heldAgainst = "as its manifest says"
	if file.manifest == nil {
		heldAgainst = "as many as go by in it"
		a.log.Warn("the file has no manifest next to it: its rows are held against those that go by in it")
	}
	origin, err := a.originOf(file)
	if err != nil {
		return testRestore, "", err
	}
	testRestore, err = a.runner.Verifier.VerifyFile(ctx, local.File(path), file.manifest, origin, consent)
	return testRestore, heldAgainst, err
}

// checkVerify reports whether there is something that backups can be tried out in.
// Only who asked for that on a schedule must have it.
func (a *agent) checkVerify(ctx context.Context, _ *command) (string, error) {
	verify := a.settings.Verify
	when := "by hand only"
	if verify.Schedule != nil {
		when = fmt.Sprintf("%s, next at %s", verify.Schedule, verify.Schedule.Next(a.now()).In(a.settings.Location).Format(time.RFC3339))
	}
	version, dir, err := a.instance.ServerAtHand(ctx, verify.Bin)
	switch {
	case err == nil:
		return fmt.Sprintf("%s; in a throwaway PostgreSQL %s of %s", when, version, dir), nil
	case !errors.Is(err, postgres.ErrNoBinaries):
		return "", err
	case verify.InInstance:
		return when + "; in a temporary database of the instance", nil
	case verify.Schedule == nil:
		return fmt.Sprintf("%s, and not even so: %v", when, err), nil
	}
	return "", remedy{err, "install PostgreSQL's server of that version, name its folder with BACKUP_VERIFY_BINDIR, or set BACKUP_VERIFY_IN_INSTANCE=true"}
}

// checkCage reports what would hold the servers of test restores. If nothing would, and nobody has
// allowed that, a test restore does not run; only a host that has them on a schedule must have one.
func (a *agent) checkCage(context.Context, *command) (string, error) {
	verify := a.settings.Verify
	found, err := throwaway.FindCage()
	switch {
	case verify.WithoutCage:
		return "test restores run without one, as BACKUP_VERIFY_WITHOUT_CAGE allows: what is in a backup can do there what this user can", nil
	case err == nil:
		return "test restores run in one: " + found.String(), nil
	case verify.Schedule == nil:
		return fmt.Sprintf("test restores do not run here: %v", err), nil
	}
	return "", remedy{err, "test restores need Linux 5.13 or newer with Landlock (lsm=landlock,…), and seccomp; or set BACKUP_VERIFY_WITHOUT_CAGE=true if you trust all that is in the databases"}
}
