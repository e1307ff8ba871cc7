// Package prompt asks a person on the terminal for what a command line left out.
package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/pgharbor/pgharbor/cli/internal/output"
)

// Prompter asks on standard error and reads the answers from standard input.
type Prompter struct {
	Stdin  io.Reader
	Stderr io.Writer
}

// Interactive returns whether there is a person to ask.
func (p *Prompter) Interactive() bool {
	return output.IsTerminal(p.Stdin) && output.IsTerminal(p.Stderr)
}

// Ask prints a question on the terminal and returns the line that is typed.
func (p *Prompter) Ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(p.Stderr, question)
	return answer(ctx, func() (string, error) {
		line, err := bufio.NewReader(p.Stdin).ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	})
}

// AskSecret is Ask without showing what is typed. Echo is turned off before the question appears, for people who type
// ahead.
func (p *Prompter) AskSecret(ctx context.Context, question string) (string, error) {
	tty, ok := p.Stdin.(*os.File)
	if !ok {
		return "", errors.New("there is no terminal to ask on")
	}
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	defer term.Restore(int(tty.Fd()), before) //nolint:errcheck // nothing better can be done
	secret, err := answer(ctx, func() (string, error) {
		return term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{tty, p.Stderr}, "").ReadPassword(question)
	})
	if errors.Is(err, io.EOF) { // so Control-C arrives in this mode
		return "", context.Canceled
	}
	return secret, err
}

// answer waits for a line or for the end of ctx. A read from a terminal can't be interrupted; at the end of ctx it is
// left running, and the program ends.
func answer(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	typed := make(chan result, 1)
	go func() {
		line, err := read()
		typed <- result{line, err}
	}()
	select {
	case r := <-typed:
		if r.err != nil {
			return "", fmt.Errorf("read the answer: %w", r.err)
		}
		return r.line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
