package backup_test

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Rows that a server refuses disprove a backup, in whichever format it is; what the host lacks does not.
func TestProveSaysTheSameOfRowsInEveryFormat(t *testing.T) {
	server := postgrestest.Shared(t)
	for name, test := range map[string]struct{ does, state string }{
		"rows 22":    {"RETURN 1 / 0", "22012"},
		"rows 23":    {"RETURN false", "23514"},
		"rows 42P01": {"RETURN EXISTS (SELECT FROM public.gone)", "42P01"},
		"rows 42883": {"RETURN public.gone(it)", "42883"},
		"rows P0001": {"RAISE EXCEPTION 'it is none'", "P0001"},
		"rows 53100": {"RAISE disk_full", ""},
		"rows 42501": {"RAISE insufficient_privilege", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server.CreateDatabase(t, name)
			const fits = "CREATE OR REPLACE FUNCTION public.fits(it int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN "
			server.Exec(t, name, fits+"RETURN true; END $$; CREATE TABLE public.goods (n int CHECK (public.fits(n))); INSERT INTO public.goods VALUES (1)")
			server.Exec(t, name, fits+test.does+"; END $$")
			for _, format := range []string{"plain", "custom"} {
				config := newConfig(t)
				config.Format = format
				proof, err := prove(t, config, backUp(t, config, name).ID, nil)
				switch {
				case test.state == "" && err == nil:
					t.Errorf("%s: the backup is blamed: %v", format, proof.Differences)
				case test.state != "" && (err != nil || proof.State != backup.TestRestoreFailed || !strings.Contains(proof.Differences[0], test.state)):
					t.Errorf("%s: %s %v, %v", format, proof.State, proof.Differences, err)
				case test.state != "" && !strings.Contains(proof.Differences[0], "public.goods"):
					t.Errorf("%s: which table it is, nobody is told: %q", format, proof.Differences)
				}
			}
		})
	}
}
