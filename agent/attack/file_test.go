package attack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ownPath is what a dump does not say, and who makes a file up does: whoever comes into the database finds what the file
// brought before the catalog's.
const ownPath = `DO $$ BEGIN
	EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path = public, pg_catalog', pg_catalog.current_database());
END $$;

--
-- PostgreSQL database dump complete
--

`

// A file of unknown origin is loaded by a role that has nothing; those who then look at what was loaded have all.
func TestAFilesNamesAreNotTheCatalogs(t *testing.T) {
	m := newTenant(t)
	dump := exec.CommandContext(t.Context(), filepath.Join(m.server.Bin, "pg_dump"), "-d", "mal")
	dump.Env = m.server.Environ()
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	// Where the dump says that it is complete, the file goes on.
	text = append(bytes.ReplaceAll(text, []byte("-- PostgreSQL database dump complete\n"), nil), ownPath...)
	file := filepath.Join(t.TempDir(), "gift.sql")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, m.server.Environ()...)
	m.each("preview", func() { h.agent("restore", file, "--to-database", "gift", "--preview") })
	m.each("verify", func() { h.agent("verify", file) })
	m.each("restore", func() { h.agent("restore", file, "--to-database", "gift", "--confirm", "gift") })
	h.environ = append(h.environ, "PGDATABASE=gift")
	m.each("run in what was restored", func() { h.serve("works alone") })
	m.each("check in what was restored", func() { h.agent("check") })
	m.server.Exec(t, "gift", "SELECT rolname FROM pg_roles")
	if m.caught() == "" {
		t.Error("the trap is not live in what was restored")
	}
}
