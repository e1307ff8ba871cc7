// Package postgres reaches one PostgreSQL instance: over a connection for what SQL can do, and through pg_dump,
// pg_restore and psql for the rest. It is the only package of the agent that starts processes.
//
// Names of databases are any bytes that PostgreSQL allows. Secrets reach the tools through private files, never
// through arguments or the environment.
package postgres

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Formats of a dump, as pg_dump names them.
const (
	FormatPlain  = "plain"
	FormatCustom = "custom"
)

const (
	defaultStallTimeout = time.Hour
	defaultLockTimeout  = 10 * time.Minute
	// defaultConnectTimeout is for a server that takes a connection and then says nothing, as a stopped one does: psql
	// would wait for ever, and so would every run after it.
	defaultConnectTimeout = 30 * time.Second
)

var (
	// ErrDatabaseExists reports that a database can't get a name because another has it.
	ErrDatabaseExists = errors.New("the database exists already")
	// ErrNoDatabase reports that there is no database of that name.
	ErrNoDatabase = errors.New("no such database")
)

// Instance is a PostgreSQL server and the tools to work with it. It is safe for concurrent use.
type Instance struct {
	*Connection

	// StallTimeout is how long a dump may go without a byte before its pg_dump is killed; 0 means an hour.
	StallTimeout time.Duration
	// Hidden are the files and folders that no tool may read, but for what the settings name; absolute. It is set before the
	// first use.
	Hidden []string

	dir     string   // private: the files below, and the tools' empty working folder
	environ []string // of every tool
}

// Open prepares to reach an instance; it connects to nothing. privateDir is a folder of this user alone, in which Open
// makes a folder of its own for the passfile; Close removes it.
func Open(settings Settings, privateDir string) (*Instance, error) {
	dir, err := os.MkdirTemp(privateDir, "postgres-")
	if err != nil {
		return nil, err
	}
	instance := &Instance{Connection: NewConnection(settings), dir: dir}
	if err := instance.prepare(); err != nil {
		return nil, errors.Join(err, instance.Close())
	}
	return instance, nil
}

// Beside opens another instance with the same environment of its tools. values are how it is reached, by the keywords of libpq;
// a session takes no more than answerLimit bytes from it, for it is not to be trusted. The caller closes it.
func (i *Instance) Beside(values map[string]string, answerLimit int64) (*Instance, error) {
	environ := map[string]string{}
	if i.settings.resolved != nil {
		environ = maps.Clone(i.settings.environ)
	}
	instance, err := Open(Settings{&resolved{values: values, environ: environ}}, filepath.Dir(i.dir))
	if err == nil {
		instance.answerLimit = answerLimit
	}
	return instance, err
}

// Close removes the private files. No tool may run any more.
func (i *Instance) Close() error { return os.RemoveAll(i.dir) }

// prepare writes the private files and composes the environment of the tools.
func (i *Instance) prepare() error {
	if err := os.Mkdir(i.workDir(), 0o700); err != nil {
		return err
	}
	environ := map[string]string{"LC_ALL": "C.UTF-8"} // messages in English, as errors and warnings are read from them
	var unnamed []string
	if i.settings.resolved != nil {
		maps.Copy(environ, i.settings.environ)
		for _, keyword := range slices.Sorted(maps.Keys(i.settings.values)) {
			value := i.settings.values[keyword]
			switch variable := variables[keyword]; {
			case keyword == "password", keyword == "dbname", keyword == "options": // the last goes into toolOptions
			case variable == "":
				unnamed = append(unnamed, keyword+"="+value+"\n")
			default:
				environ[variable] = value
			}
		}
	}
	if password := i.settings.get("password"); password != "" {
		path := filepath.Join(i.dir, "passfile")
		line := "*:*:*:*:" + strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(password) + "\n"
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			return err
		}
		environ["PGPASSFILE"] = path
	}
	// A keyword without a variable, such as sslpassword, reaches libpq through a service.
	if len(unnamed) > 0 {
		path := filepath.Join(i.dir, "service.conf")
		if err := os.WriteFile(path, []byte("[pgharbor]\n"+strings.Join(unnamed, "")), 0o600); err != nil {
			return err
		}
		environ["PGSERVICEFILE"], environ["PGSERVICE"] = path, "pgharbor"
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		i.environ = append(i.environ, name+"="+environ[name])
	}
	return nil
}

// workDir is the working folder of the tools: a hostile dump that names a file meets an empty folder.
func (i *Instance) workDir() string { return filepath.Join(i.dir, "work") }

// toolEnviron is the environment of a tool that connects to a database. The name travels here and not among the
// arguments, where one with "=" or "postgres://" would be taken for a connection string.
func (i *Instance) toolEnviron(database string) []string {
	environ := append(slices.Clone(i.environ), "PGDATABASE="+database, "PGOPTIONS="+i.toolOptions())
	if i.settings.get("connect_timeout") == "" {
		environ = append(environ, fmt.Sprintf("PGCONNECT_TIMEOUT=%d", max(1, int(i.connectTimeout().Seconds()))))
	}
	return environ
}

// searchPath are the folders in which tools are looked for, by PATH and then as distributions install them, newest first.
func (i *Instance) searchPath() ([]string, error) {
	var dirs []string
	if i.settings.resolved != nil {
		dirs = filepath.SplitList(i.settings.environ["PATH"])
	}
	var installed []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for PostgreSQL's tools: %w", err)
		}
		installed = append(installed, matches...)
	}
	slices.SortFunc(installed, func(a, b string) int { return leadingNumber(b) - leadingNumber(a) })
	return append(dirs, installed...), nil
}
