package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// RestoreEntries runs pg_restore for the listed entries of an archive into a database, with more arguments. contents is the
// archive's table of contents, and data is what follows it in the archive; nil where none of the entries has any, and then
// pg_restore may go back in it and use several sessions. No part of the archive gets to a disk. An empty list does nothing.
func (l *Loader) RestoreEntries(ctx context.Context, database string, list, contents []byte, data io.Reader, more ...string) error {
	if len(list) == 0 {
		return nil
	}
	tool, server, err := l.tools.find(ctx, "pg_restore")
	if err != nil {
		return err
	}
	entries, err := inMemory("list", list)
	if err != nil {
		return err
	}
	defer entries.Close()
	args := restoreArgs(database, append(more, "--use-list=/proc/self/fd/3")...)
	files := []*os.File{entries}
	if data == nil {
		archive, err := inMemory("contents", contents)
		if err != nil {
			return err
		}
		defer archive.Close()
		args = append(args, "/proc/self/fd/4")
		files = append(files, archive)
	}
	process := l.tools.newProcess(ctx, tool, database, args...)
	process.cmd.Env = withOptions(process.cmd.Env, append(restoreSettings(server), NoWait, "default_transaction_read_only=off"))
	process.cmd.ExtraFiles = files
	if data != nil {
		return feed(process, io.MultiReader(bytes.NewReader(contents), data))
	}
	if err := process.start(); err != nil {
		return err
	}
	return process.wait()
}

// inMemory is a file without a name that holds data, and never gets to a disk.
func inMemory(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(data); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
