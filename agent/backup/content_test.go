package backup_test

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// A restore that would give code of the dump rights is a failure of a kind of its own, and it is told whether code of the dump
// was there to refuse: whoever is told to trust it has to know.
func TestWhatWouldGainRightsIsAFailureOfItsOwnKind(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE app")
	for name, test := range map[string]struct {
		sql     string
		refused bool // by code of the dump
	}{
		"refuses": {`SET ROLE app; CREATE TABLE app.goods (n int CHECK (app.fits(n))); INSERT INTO app.goods VALUES (1);
			CREATE OR REPLACE FUNCTION app.fits(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
				IF current_setting('is_superuser') <> 'on' THEN RAISE insufficient_privilege; END IF; RETURN true; END $$`, true},
		"superuser": {"CREATE TABLE public.goods (n int); CREATE INDEX ON public.goods (app.fits(n))", false},
	} {
		server.CreateDatabase(t, name)
		server.Exec(t, name, "CREATE SCHEMA app AUTHORIZATION app; SET ROLE app; "+
			"CREATE FUNCTION app.fits(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END'")
		server.Exec(t, name, test.sql)
		config := newConfig(t, server.Environ()...)
		manifest := backUp(t, config, name)
		err := restore(t.Context(), t, config, manifest.ID, "again")
		if backup.Failure(err) != backup.FailureContent || postgres.CodeRefused(err) != test.refused || postgres.LacksLogin(err) {
			t.Errorf("%s: a failure of the kind %s, refused by code %t: %v", name, backup.Failure(err), postgres.CodeRefused(err), err)
		}
	}
}

// A test restore says beforehand what a restore into a live server will refuse, and is no less a proof for that.
func TestATestRestoreForetellsWhatARestoreRefuses(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE app")
	server.CreateDatabase(t, "shop")
	server.Exec(t, "shop", "CREATE SCHEMA app AUTHORIZATION app; SET ROLE app; "+
		"CREATE FUNCTION app.fits(n int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END'; CREATE TABLE app.t (n int CHECK (app.fits(n))); INSERT INTO app.t VALUES (1)")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := newConfig(t, server.Environ()...)
		config.Format = format
		proof, err := prove(t, config, backUp(t, config, "shop").ID, nil)
		if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Refuses != "" || proof.Rows != 1 {
			t.Errorf("%s: %+v, %v", format, proof, err)
		}
	}
	server.Exec(t, "shop", "CREATE TABLE public.goods (n int); INSERT INTO public.goods VALUES (1); CREATE INDEX given ON public.goods (app.fits(n))")
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := newConfig(t, server.Environ()...)
		config.Format = format
		proof, err := prove(t, config, backUp(t, config, "shop").ID, nil)
		if err != nil || proof.State != backup.TestRestoreSucceeded || !strings.Contains(proof.Refuses, "CREATE INDEX given") || proof.Rows != 2 {
			t.Errorf("%s: %+v, %v", format, proof, err)
		}
	}
}
