package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/pgharbor/pgharbor/cli/output"
)

// interactive says whether there is a person to ask.
func (a *app) interactive() bool {
	return output.IsTerminal(a.Stdin) && output.IsTerminal(a.Stderr)
}

// ask puts a question on the terminal and returns the line that is typed.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.Stderr, question)
	return a.answer(ctx, func() (string, error) {
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err
	})
}

// askSecret is ask without showing what is typed. The terminal stops showing it
// before the question is put, for those who type ahead.
func (a *app) askSecret(ctx context.Context, question string) (string, error) {
	tty, ok := a.Stdin.(*os.File)
	if !ok {
		return "", errors.New("there is no terminal to ask on")
	}
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask on the terminal: %w", err)
	}
	defer term.Restore(int(tty.Fd()), before) //nolint:errcheck // nothing better can be done
	secret, err := a.answer(ctx, func() (string, error) {
		return term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{tty, a.Stderr}, "").ReadPassword(question)
	})
	if errors.Is(err, io.EOF) { // so Control-C arrives in this mode
		return "", context.Canceled
	}
	return secret, err
}

// answer waits for a line or for the end of ctx. A read from a terminal can't be
// broken off, so in that case it is left behind; the program ends then.
func (a *app) answer(ctx context.Context, read func() (string, error)) (string, error) {
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
