// Command testsummary makes the output of `go test -json` readable: a line for
// each package, the whole output of what failed, and the counts at the end.
//
//	go test -json ./... | testsummary
//
// It exits 1 when anything failed, a package that did not build included.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json`; the fields are those of `go doc
// test2json` and, for ImportPath, of `go help buildjson`.
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	Elapsed    float64
	ImportPath string
}

// counts are of tests, subtests included. A package that fails without a
// failed test (it did not build, panicked, or its TestMain failed) counts as
// one failure.
type counts struct{ passed, failed, skipped int }

func main() {
	c, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
	if c.skipped > 0 {
		fmt.Printf("%d skipped\n", c.skipped)
	}
	fmt.Printf("%d passed, %d failed\n", c.passed, c.failed)
	if c.failed > 0 {
		os.Exit(1)
	}
}

func summarize(in io.Reader, out io.Writer) (counts, error) {
	var c counts
	// What was printed, until it is known whether anybody wants to read it.
	printed := map[string]*strings.Builder{}
	failedTests := map[string]int{}

	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				// Not an event: a message of the go command itself.
				_, _ = out.Write(line)
			} else {
				c.add(e, printed, failedTests, out)
			}
		}
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, fmt.Errorf("read the events: %w", err)
		}
	}
}

func (c *counts) add(e event, printed map[string]*strings.Builder, failedTests map[string]int, out io.Writer) {
	id := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(out, e.Output)
	case e.Action == "output":
		if printed[id] == nil {
			printed[id] = &strings.Builder{}
		}
		printed[id].WriteString(e.Output)
	case e.Test == "" && e.Action == "skip":
		fmt.Fprintf(out, "-     %s  no tests\n", e.Package)
		delete(printed, id)
	case e.Test == "" && e.Action == "pass":
		fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
		delete(printed, id)
	case e.Test == "" && e.Action == "fail":
		if failedTests[e.Package] == 0 {
			c.failed++
		}
		fmt.Fprintf(out, "%sFAIL  %s  %.1fs\n", text(printed[id]), e.Package, e.Elapsed)
	case e.Action == "pass":
		c.passed++
		delete(printed, id)
	case e.Action == "skip":
		c.skipped++
		fmt.Fprint(out, text(printed[id]))
	case e.Action == "fail":
		c.failed++
		failedTests[e.Package]++
		fmt.Fprint(out, text(printed[id]))
	}
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	return b.String()
}
