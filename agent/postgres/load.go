package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// copyBuffer is the size of the pieces in which a dump is fed to a tool.
const copyBuffer = 256 << 10

// errSource is the cause with which a tool is killed whose input failed.
var errSource = errors.New("killed because its input failed")

// Load runs a dump into a database, in one transaction: psql for FormatPlain, pg_restore for FormatCustom. Where src
// returns an error other than io.EOF, the tool is killed before it could see an end of its input, so that nothing is
// committed, and that error is returned. A failure of the tool is a *ToolError.
func (i *Instance) Load(ctx context.Context, database, format string, src io.Reader) error {
	server, err := i.Server(ctx)
	if err != nil {
		return err
	}
	name, args := "psql", []string{"--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse",
		"--single-transaction", "--output=/dev/null", "--file=-"}
	if format == FormatCustom {
		name, args = "pg_restore", []string{"--no-password", "--exit-on-error", "--single-transaction", "--dbname=dbname=" + quoteConninfo(database)}
	}
	tool, err := i.findTool(ctx, name, server)
	if err != nil {
		return err
	}
	return feed(i.newProcess(ctx, tool, database, args...), src)
}

// Script turns a dump of FormatCustom into the SQL of a plain one, by a pg_restore that is not older than the server; it
// connects to nothing. A cut archive is a *ToolError; an error of src is returned as it is.
func (i *Instance) Script(ctx context.Context, server Server, src io.Reader, sql io.Writer) error {
	tool, err := i.findTool(ctx, "pg_restore", server)
	if err != nil {
		return err
	}
	process := i.newProcess(ctx, tool, "", "--file=-")
	process.cmd.Stdout = sql
	return feed(process, src)
}

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
