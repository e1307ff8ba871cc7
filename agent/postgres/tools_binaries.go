package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgharbor/pgharbor/internal/tail"
)

// ErrNoBinaries reports that no server that would do can be started here.
var ErrNoBinaries = errors.New("no server binaries are at hand")

// Binaries are an installed server.
type Binaries struct {
	Dir    string // of initdb and postgres
	Server Tool
}

// FindBinaries looks for a server of the same major version or, where there is none, for the next newer one; 0 is content
// with any. bin is the one folder to look in; empty means PATH, what pg_config says, and what distributions install. ErrNoBinaries
// reports that there is none.
func (t *Tools) FindBinaries(ctx context.Context, bin string, major int) (Binaries, error) {
	dirs := []string{bin}
	if bin == "" {
		var err error
		if dirs, err = t.searchPath(); err != nil {
			return Binaries{}, err
		}
		if dir := t.configuredBin(ctx, dirs); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	var best Binaries
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) || !isProgram(filepath.Join(dir, "initdb")) || !isProgram(filepath.Join(dir, "postgres")) {
			continue
		}
		server, err := t.toolVersion(ctx, "postgres", filepath.Join(dir, "postgres"))
		if err != nil {
			return Binaries{}, err
		}
		found := server.Number / 10000
		if found < major || found == 0 {
			continue
		}
		if best.Dir == "" || found < best.Server.Number/10000 {
			best = Binaries{dir, server}
		}
	}
	switch {
	case best.Dir != "":
		return best, nil
	case bin != "":
		return best, fmt.Errorf("%w: %s has no initdb and postgres of version %d or newer", ErrNoBinaries, bin, major)
	}
	return best, fmt.Errorf("%w: neither PATH nor pg_config lead to initdb and postgres of version %d or newer", ErrNoBinaries, major)
}

// ServerAtHand is FindBinaries for a dump of the instance as it is now; it returns the server's version and folder.
func (t *Tools) ServerAtHand(ctx context.Context, bin string) (version, dir string, err error) {
	server, err := t.connection.Server(ctx)
	if err != nil {
		return "", "", err
	}
	found, err := t.FindBinaries(ctx, bin, server.Number/10000)
	return found.Server.Version, found.Dir, err
}

// configuredBin asks the first pg_config for the folder of its server's programs; "" where it does not say.
func (t *Tools) configuredBin(ctx context.Context, dirs []string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, "pg_config")
		if !filepath.IsAbs(dir) || !isProgram(path) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, versionTimeout)
		defer cancel()
		process := t.newProcess(limited, Tool{Name: "pg_config", Path: path}, "", "--bindir")
		output := &tail.Writer{Limit: 4 << 10}
		process.cmd.Stdout = output
		if process.start() != nil || process.wait() != nil {
			return ""
		}
		return strings.TrimSpace(output.String())
	}
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}
