package backup_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// intruders are roles that want more of another instance than the restored database.
const intruders = `CREATE ROLE mallory LOGIN CREATEROLE CREATEDB PASSWORD 'mallory';
	CREATE ROLE crew ROLE mallory;
	CREATE ROLE ladder ADMIN mallory; GRANT CONNECT ON DATABASE harbour TO mallory;
	GRANT pg_execute_server_program, pg_write_server_files, pg_read_server_files, pg_read_all_data, pg_write_all_data, pg_monitor,
		pg_signal_backend, pg_checkpoint TO ladder WITH ADMIN OPTION;
	CREATE ROLE treasurer; GRANT treasurer TO mallory WITH ADMIN OPTION;
	ALTER ROLE mallory SET session_preload_libraries = 'evil';
	ALTER ROLE mallory SET lo_compat_privileges = on;
	ALTER ROLE mallory SET plpgsql.variable_conflict = 'use_column';
	ALTER ROLE mallory SET work_mem = '64MB';
	ALTER DATABASE harbour SET session_preload_libraries = 'auto_explain';
	ALTER DATABASE harbour SET auto_explain.log_min_duration = 0;
	ALTER DATABASE harbour SET app.name = 'harbour'`

// reach is what mallory can do on a server beyond the restored database.
const reach = `SELECT rolcreaterole::int + rolcreatedb::int + rolsuper::int + rolreplication::int + rolbypassrls::int FROM pg_roles WHERE rolname = 'mallory'
	UNION ALL SELECT count(*) FROM pg_roles WHERE pg_has_role('mallory', oid, 'MEMBER') AND rolname NOT IN ('mallory', 'crew', 'ladder')
	UNION ALL SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) s WHERE s ~ 'preload|compat|conflict|explain'`

// forget does to nobody what it says, because it can't tell its argument from the column, unless a parameter says so that only a superuser
// may set.
const forget = `CREATE TABLE debts (id int); INSERT INTO debts VALUES (1), (2);
	CREATE FUNCTION forget(id int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM debts WHERE debts.id = id; END'`

// attempt runs statements as mallory, each as far as it goes.
func attempt(t *testing.T, server *postgrestest.Server, statements ...string) (worked []string) {
	t.Helper()
	address, err := url.Parse(server.PasswordURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("mallory", "mallory")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err == nil {
			worked = append(worked, sql)
		}
	}
	return worked
}

// The roles of a backup reach nothing beyond the restored database, whatever they could do where they come from: not by an
// attribute, nor by a role that was there before, nor by one of PostgreSQL's own, directly or by another. Where their
// rights are asked for, they have them, so that the trap is live.
func TestRolesOfABackupReachNothingBeyondIt(t *testing.T) {
	server := postgrestest.Start(t)
	server.CreateDatabase(t, "harbour")
	server.Exec(t, "postgres", intruders)
	config := configOn(t, server, newConfig(t))
	config.InstanceName = "theirs"
	manifest := backUp(t, config, "harbour")
	programs := []string{
		"GRANT pg_execute_server_program TO mallory", "CREATE TEMP TABLE said (line text)", "COPY said FROM PROGRAM 'id'",
		"GRANT treasurer TO crew", "CREATE ROLE another", "CREATE DATABASE mine", "SELECT forget(1)",
	}
	for roles, want := range map[string]int{backup.RolesMissing: 1, backup.RolesSuperuser: len(programs)} {
		other := postgrestest.Start(t, postgrestest.WithPassword("over-tcp"))
		other.Exec(t, "postgres", "CREATE ROLE treasurer; "+forget)
		there := configOn(t, other, config)
		there.InstanceName = "ours"
		if err := restoreLackingAny(t, there, manifest, roles); err != nil {
			t.Fatal(err)
		}
		gained := 0
		for _, row := range other.Query(t, "postgres", reach) {
			if row[0] != "0" {
				gained++
			}
		}
		if (gained > 0) != (roles == backup.RolesSuperuser) {
			t.Errorf("%s: mallory has %v", roles, other.Query(t, "postgres", reach))
		}
		if roles == backup.RolesSuperuser { // a library that is not there would keep mallory out
			other.Exec(t, "postgres", "ALTER ROLE mallory RESET session_preload_libraries")
		}
		if worked := attempt(t, other, programs...); len(worked) != want {
			t.Errorf("%s: mallory has done %q", roles, worked)
		}
		kept := "SELECT string_agg(s, ' ' ORDER BY s) FROM pg_db_role_setting, unnest(setconfig) s WHERE s ~ 'work_mem|app.name'"
		if got := other.Value(t, "postgres", kept); got != "app.name=harbour work_mem=64MB" {
			t.Errorf("%s: of the harmless settings there is %q", roles, got)
		}
	}
}

func restoreLackingAny(t *testing.T, config *backup.Config, manifest backup.Manifest, roles string) error {
	t.Helper()
	_, err := restoreLacking(t, config, manifest, "again", roles)
	return err
}
