package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyBuffer is the size of the pieces in which a dump is fed to a tool.
const copyBuffer = 256 << 10

// pipeSize is asked for the pipes from and to tools: with Linux's 64 KiB both sides mostly wait for each other.
const pipeSize = 1 << 20

// errSource is the cause with which a tool is killed whose input failed.
var errSource = errors.New("killed because its input failed")

// feed starts a tool, gives it src as its standard input and waits for it.
func feed(process *process, src io.Reader) error {
	stdin, input, err := pipe()
	if err != nil {
		return err
	}
	process.cmd.Stdin = stdin
	err = process.start()
	if err := errors.Join(err, stdin.Close()); err != nil {
		return errors.Join(err, input.Close())
	}
	source, broken := pump(input, src)
	if source != nil {
		process.kill(errSource)
		_ = process.wait()
		return errors.Join(source, input.Close())
	}
	err = errors.Join(input.Close(), process.wait())
	if err == nil && broken != nil {
		// The tool exited 0 and did not take all of its input.
		return &ToolError{Tool: process.tool.Name, Stderr: process.stderr.String(), Err: fmt.Errorf("stopped reading: %w", broken)}
	}
	return err
}

// pump copies src to a tool's input and tells the failures of the two apart.
func pump(input *os.File, src io.Reader) (source, broken error) {
	buffer := make([]byte, copyBuffer)
	for {
		n, err := src.Read(buffer)
		if n > 0 {
			if _, err := input.Write(buffer[:n]); err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// pipe returns a pipe that is as large as the system lets it be. Its ends block: the runtime's poller would wake up for each
// of the 4 KiB in which the tools write and read. What waits at one end is freed by the end of the tool at the other.
func pipe() (r, w *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	// It is faster with it and right without.
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeSize)
	return os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe"), nil
}
