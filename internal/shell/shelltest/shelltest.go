// Package shelltest pastes what programs print, with names that would do something.
package shelltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Hostile are names that do something where they are pasted as they are. Each can be seen on a terminal.
var Hostile = []string{
	"x';touch y;'", `x";touch y;"`, "x;touch y", "x && touch y", "x|touch y", "x&touch y", "$(touch y)", "`touch y`", `\$(touch y)`, `x\`,
	"x' $(touch y) '", "x\" $(touch y) \"", "x > y", "x>y", "<y", ">y", "x #", "#x", "~", "~root", "*", "?", "[a-z]*", "{a,b}", "!x", "x!", "!!", "=ls", "^a^b",
	"it's", `it's "quoted"`, " ", " padded ", "-rf", "--force", "", "Größe ☕ 数据", "a=b", "$HOME", "${HOME}", "(touch y)", "a\\'b;touch y", "'", `"`, `\'`, `''`,
}

// Unseen are names that no terminal shows as they are.
var Unseen = []string{"a\ntouch y", "a\rtouch y", "\x1b[2Jx", "a\tb", "\u202etxt", "zero\u200bwidth", "bad\xff", "nul\x00", "\u2028", "\u00a0"}

// Paste runs a text as a person's shell would, in an empty folder, if the programs of ours only
// write down their arguments. It returns these, one program after the other, and the files that
// have come to be in the folder.
func Paste(t *testing.T, text string) (args, files []string) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	said := filepath.Join(bin, "said")
	program := "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\0' \"$a\" >>" + said + "; done\n"
	for _, name := range []string{"pgharbor", "pgharbor-agent", "pgharbor-controlplane"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(program), 0o700); err != nil { //nolint:gosec // it is a program
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", text)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + bin + ":/usr/bin:/bin"}
	_ = cmd.Run() // the prose around a command is none, and fails
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		files = append(files, entry.Name())
	}
	content, err := os.ReadFile(said)
	if err != nil {
		return nil, files // no program of ours ran
	}
	return strings.Split(strings.TrimSuffix(string(content), "\x00"), "\x00"), files
}
