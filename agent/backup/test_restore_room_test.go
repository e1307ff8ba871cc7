package backup_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// What a dump does in a test restore takes no more files of the disk than it leaves to others: code in it makes them one by one, empty. One
// that makes none has room. Who may mount nothing sees the latter alone.
func TestATestRestoreLeavesFilesToOthers(t *testing.T) {
	dir := provingGround(t)
	mounted := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2g,nr_inodes=200000,mode=0711")
	if mounted != nil && !errors.Is(mounted, unix.EPERM) {
		t.Fatal(mounted)
	}
	t.Cleanup(func() {
		if mounted == nil {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		}
	})
	proofs := filepath.Join(dir, "proofs")
	if err := errors.Join(os.Mkdir(proofs, 0o711), os.Chmod(proofs, 0o711)); err != nil {
		t.Fatal(err)
	}
	postgrestest.Shared(t)
	path := filepath.Join(t.TempDir(), "backup.sql")
	const end = "--\n-- PostgreSQL database dump complete\n--\n"
	if err := os.WriteFile(path, []byte("SET client_encoding = 'UTF8';\n"+end), 0o600); err != nil {
		t.Fatal(err)
	}
	config := newConfig(t)
	if _, err := backup.New(*config).TestRestorer.Run(t.Context(), backup.TestRestoreRequest{From: local.File(path), ID: "proof0", Dir: proofs}); err != nil {
		t.Fatal(err)
	}
	if mounted != nil {
		return
	}
	const dump = `SET client_encoding = 'UTF8';
DO $x$ BEGIN
	FOR i IN 1..198000 LOOP EXECUTE format('COPY (SELECT 1 WHERE false) TO %L', current_setting('data_directory') || '/f' || i); END LOOP;
	PERFORM pg_sleep(600);
END $x$;
`
	if err := os.WriteFile(path, []byte(dump+end), 0o600); err != nil {
		t.Fatal(err)
	}
	proof, err := backup.New(*config).TestRestorer.Run(t.Context(), backup.TestRestoreRequest{From: local.File(path), ID: "proof1", Dir: proofs})
	if !errors.Is(err, backup.ErrNoRoom) {
		t.Errorf("%+v, %v", proof, err)
	}
	// So few that it does not begin.
	for n := range 152000 {
		if err := unix.Mknod(filepath.Join(dir, "other"+strconv.Itoa(n)), unix.S_IFREG|0o600, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := backup.New(*config).TestRestorer.Run(t.Context(), backup.TestRestoreRequest{From: local.File(path), ID: "proof2", Dir: proofs}); !errors.Is(err, backup.ErrNoRoom) || !strings.Contains(err.Error(), "inodes") {
		t.Error(err)
	}
}
