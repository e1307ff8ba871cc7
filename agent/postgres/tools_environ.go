package postgres

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// prepare writes the private files and composes the environment of the tools.
func (t *Tools) prepare() error {
	if err := os.Mkdir(t.workDir(), 0o700); err != nil {
		return err
	}
	environ := map[string]string{"LC_ALL": "C.UTF-8"} // messages in English, as errors and warnings are read from them
	var unnamed []string
	if t.connection.settings.resolved != nil {
		maps.Copy(environ, t.connection.settings.environ)
		for _, keyword := range slices.Sorted(maps.Keys(t.connection.settings.values)) {
			value := t.connection.settings.values[keyword]
			switch variable := variables[keyword]; {
			case keyword == "password", keyword == "dbname", keyword == "options": // the last goes into toolOptions
			case variable == "":
				unnamed = append(unnamed, keyword+"="+value+"\n")
			default:
				environ[variable] = value
			}
		}
	}
	if password := t.connection.settings.get("password"); password != "" {
		path := filepath.Join(t.dir, "passfile")
		line := "*:*:*:*:" + strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(password) + "\n"
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			return err
		}
		environ["PGPASSFILE"] = path
	}
	// A keyword without a variable, such as sslpassword, reaches libpq through a service.
	if len(unnamed) > 0 {
		path := filepath.Join(t.dir, "service.conf")
		if err := os.WriteFile(path, []byte("[pgharbor]\n"+strings.Join(unnamed, "")), 0o600); err != nil {
			return err
		}
		environ["PGSERVICEFILE"], environ["PGSERVICE"] = path, "pgharbor"
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		t.environ = append(t.environ, name+"="+environ[name])
	}
	return nil
}

// workDir is the working folder of the tools: a hostile dump that names a file meets an empty folder.
func (t *Tools) workDir() string { return filepath.Join(t.dir, "work") }

// toolEnviron is the environment of a tool that connects to a database. The name travels here and not among the
// arguments, where one with "=" or "postgres://" would be taken for a connection string.
func (t *Tools) toolEnviron(database string) []string {
	environ := append(slices.Clone(t.environ), "PGDATABASE="+database, "PGOPTIONS="+t.toolOptions())
	if t.connection.settings.get("connect_timeout") == "" {
		environ = append(environ, fmt.Sprintf("PGCONNECT_TIMEOUT=%d", max(1, int(t.connection.connectTimeout().Seconds()))))
	}
	return environ
}

// toolOptions are a tool's PGOPTIONS: what was configured, and then what overrides it.
func (t *Tools) toolOptions() string {
	server := t.connection.traits()
	words := []string{server.options(t.connection.settings.get("options"))}
	for _, p := range server.parameters(feeding, 0) {
		words = append(words, p.option())
	}
	return strings.Join(words, " ")
}

// searchPath are the folders in which tools are looked for, by PATH and then as distributions install them, newest first.
func (t *Tools) searchPath() ([]string, error) {
	var dirs []string
	if t.connection.settings.resolved != nil {
		dirs = filepath.SplitList(t.connection.settings.environ["PATH"])
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
