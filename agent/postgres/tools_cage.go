package postgres

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/pgharbor/pgharbor/agent/cage"
)

// debianWrapper is what stands on PATH under the tools' names where Debian's packages are installed: a script that looks for
// the tool of a version.
const debianWrapper = "pg_wrapper"

// ownFiles are the settings that name files of the tools' own, which they read even where they are hidden.
var ownFiles = []string{"passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir"}

// hasCages reports whether this host can hold a program. Where it can't, tools run as they do by hand.
var hasCages = sync.OnceValue(func() bool {
	_, err := cage.Check()
	return err == nil
})

// confine lets a tool that reads what others have written do no more than its work: it writes no file, starts no other
// program, so that no \! and no program of \copy does, reads nothing that is hidden, and traces and signals nobody. It
// reaches its server as it did, for nobody knows how that is reached. A tool that is a script stays as it is.
func (t *Tools) confine(p *process) error {
	programs := cage.Executables(p.tool.Path)
	if programs == nil || !hasCages() {
		return nil
	}
	if p.tool.Name == "pg_dumpall" { // which asks its pg_dump for its version, through a shell
		for _, path := range []string{filepath.Join(filepath.Dir(p.tool.Path), "pg_dump"), "/bin/sh"} {
			programs = append(programs, cage.Executables(path)...)
		}
	}
	spec := cage.Spec{
		ReadAll: true, Hide: t.Hidden, Read: []string{t.dir}, Execute: programs, Write: []string{os.DevNull},
		Network: true, Files: len(p.cmd.ExtraFiles), DeathSignal: syscall.SIGKILL,
	}
	for _, keyword := range ownFiles {
		if path := t.connection.settings.get(keyword); filepath.IsAbs(path) {
			spec.Read = append(spec.Read, path)
		}
	}
	arguments, err := spec.Arguments(p.cmd.Path, p.cmd.Args[1:]...)
	if err != nil {
		return err
	}
	p.cmd.Path, p.cmd.Args = cage.Program, arguments
	return nil
}

// isWrapper reports whether a path leads to Debian's script.
func isWrapper(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	return err == nil && filepath.Base(real) == debianWrapper
}
