package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoBinaries reports that no server that would do can be started here.
var ErrNoBinaries = errors.New("no server binaries are at hand")

// binaries is an installed server.
type binaries struct {
	dir    string // of initdb and postgres
	server Tool
}

// findBinaries looks for a server of the same major version or, where there is none, for the next newer one; 0 is content
// with any. bin is the one folder to look in; empty means PATH, what pg_config says, and what distributions install.
func (i *Instance) findBinaries(ctx context.Context, bin string, major int) (binaries, error) {
	dirs := []string{bin}
	if bin == "" {
		var err error
		if dirs, err = i.searchPath(); err != nil {
			return binaries{}, err
		}
		if dir := i.configuredBin(ctx, dirs); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	var best binaries
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) || !isProgram(filepath.Join(dir, "initdb")) || !isProgram(filepath.Join(dir, "postgres")) {
			continue
		}
		server, err := i.toolVersion(ctx, "postgres", filepath.Join(dir, "postgres"))
		if err != nil {
			return binaries{}, err
		}
		found := server.Number / 10000
		if found < major || found == 0 {
			continue
		}
		if best.dir == "" || found < best.server.Number/10000 {
			best = binaries{dir, server}
		}
	}
	switch {
	case best.dir != "":
		return best, nil
	case bin != "":
		return best, fmt.Errorf("%w: %s has no initdb and postgres of version %d or newer", ErrNoBinaries, bin, major)
	}
	return best, fmt.Errorf("%w: neither PATH nor pg_config lead to initdb and postgres of version %d or newer", ErrNoBinaries, major)
}

// ServerAtHand looks for the server that StartThrowaway would start for a dump of the instance as it is now, and returns its
// version and the folder of its programs; ErrNoBinaries where there is none. bin is as in ThrowawayRequest.
func (i *Instance) ServerAtHand(ctx context.Context, bin string) (version, dir string, err error) {
	server, err := i.Server(ctx)
	if err != nil {
		return "", "", err
	}
	found, err := i.findBinaries(ctx, bin, server.Number/10000)
	return found.server.Version, found.dir, err
}

// configuredBin asks the first pg_config for the folder of its server's programs; "" where it does not say.
func (i *Instance) configuredBin(ctx context.Context, dirs []string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, "pg_config")
		if !filepath.IsAbs(dir) || !isProgram(path) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, versionTimeout)
		defer cancel()
		process := i.newProcess(limited, Tool{Name: "pg_config", Path: path}, "", "--bindir")
		output := &tail{limit: 4 << 10}
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
