package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// command is one way to do a job. before undoes what an earlier run left
// behind; its time does not count.
type command struct {
	name   string
	argv   []string
	env    []string
	before func(context.Context) error
	// wholeTree asks for the memory of the largest process that it started.
	wholeTree bool
}

// bench knows where things are. The folder is emptied by bench.sh.
type bench struct {
	folder    string
	backupID  string // a sealed backup of the database that the control plane lists
	stored    string // its file, as the agent keeps it
	custom    string // the file of another backup of it, in the custom format
	fetch     string // a shell command that copies $1 to $2 over loopback, encrypted
	fetchName string
}

func shell(name, script string, args ...string) command {
	return command{
		name: name, wholeTree: true,
		argv: append([]string{"bash", "-c", "set -euo pipefail; " + script, "-"}, args...),
	}
}

// agentBackup is `pgharbor-agent backup` with folders of its own, beside no daemon.
func (b *bench) agentBackup(database, compression string) command {
	folder := filepath.Join(b.folder, "alone")
	return command{
		name: "pgharbor-agent backup",
		argv: []string{"pgharbor-agent", "backup", "--database", database},
		env: []string{
			"BACKUP_DIR=" + folder, "PGHARBOR_STATE_DIR=" + folder + "-state",
			"BACKUP_DATABASES=" + database, "BACKUP_COMPRESSION=" + compression,
		},
		before: func(context.Context) error { return os.RemoveAll(folder) },
	}
}

// agentRestore restores file into a database that it drops beforehand.
func (b *bench) agentRestore(file string) command {
	return command{
		name:   "pgharbor-agent restore",
		argv:   []string{"pgharbor-agent", "restore", file, "--to-database", "bench_back", "--confirm", "bench_back"},
		env:    []string{"PGHARBOR_STATE_DIR=" + filepath.Join(b.folder, "alone-state")},
		before: dropRestored,
	}
}

// directoryRestore restores a dump of pg_dump -Fd that bench.sh made: "directory" as it is by default, compressed, and
// "directory-plain" without compression.
func (b *bench) directoryRestore(folder string) command {
	name := "pg_restore -j2 of pg_dump -Fd"
	if folder == "directory-plain" {
		name += " -Z0"
	}
	c := shell(name, `createdb -T template0 bench_back; pg_restore -j2 --exit-on-error -d bench_back "$1"`, b.out(folder))
	c.before = dropRestored
	return c
}

// agentVerify tests the restore of file in a throwaway server.
func (b *bench) agentVerify(file string) command {
	return command{
		name: "pgharbor-agent verify",
		argv: []string{"pgharbor-agent", "verify", file},
		env:  []string{"PGHARBOR_STATE_DIR=" + filepath.Join(b.folder, "alone-state")},
	}
}

func (b *bench) out(name string) string { return filepath.Join(b.folder, name) }

func (b *bench) pipelineBackup(database string) command {
	c := shell("pg_dump | openssl, sync, sha256sum",
		`pg_dump "$1" | openssl enc -aes-256-cbc -pbkdf2 -pass env:BENCH_PASSPHRASE >"$2"; sync "$2"; sha256sum "$2"`,
		database, b.out("pipeline.sql.enc"))
	c.before = b.remove("pipeline.sql.enc")
	return c
}

func (b *bench) pipelineRestore(file string) command {
	c := shell("openssl | psql -1",
		`createdb -T template0 bench_back
		 openssl enc -d -aes-256-cbc -pbkdf2 -pass env:BENCH_PASSPHRASE -in "$1" | psql -X -q -v ON_ERROR_STOP=1 -1 -d bench_back`,
		file)
	c.before = dropRestored
	return c
}

func (b *bench) customDump() command {
	c := shell("pg_dump -Fc", `pg_dump -Fc "$1" >"$2"`, "bench", b.out("custom.dump"))
	c.before = b.remove("custom.dump")
	return c
}

func (b *bench) dumpToNothing() command {
	return shell("pg_dump > /dev/null", `pg_dump "$1" >/dev/null`, "bench")
}

func (b *bench) download() command {
	return command{
		name:   "pgharbor download",
		argv:   []string{"pgharbor", "download", b.backupID, "--output", b.out("downloaded")},
		before: b.remove("downloaded"),
	}
}

func (b *bench) copyOver() command {
	c := shell(b.fetchName, b.fetch, b.stored, b.out("copied"))
	c.before = b.remove("copied")
	return c
}

func (b *bench) remove(name string) func(context.Context) error {
	return func(context.Context) error {
		if err := os.Remove(b.out(name)); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
}

func dropRestored(ctx context.Context) error {
	_, err := psql(ctx, "DROP DATABASE IF EXISTS bench_back WITH (FORCE)")
	return err
}

// awaitSettled gives every measured run the same start: nothing left to be written.
func awaitSettled(ctx context.Context) error {
	if _, err := psql(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	return exec.CommandContext(ctx, "sync").Run()
}

// databaseSize is in bytes.
func databaseSize(ctx context.Context, database string) (int64, error) {
	size, err := psql(ctx, "SELECT pg_database_size('"+database+"')")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(size), 10, 64)
}

func psql(ctx context.Context, sql string) (string, error) {
	out, err := exec.CommandContext(ctx, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, out)
	}
	return string(out), nil
}
