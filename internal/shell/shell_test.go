package shell_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/shell/shelltest"
)

func TestANameIsOneArgumentAndRunsNothing(t *testing.T) {
	for _, name := range shelltest.Hostile {
		line := shell.Command("pgharbor runs --instance %s --failed", name)
		args, files := shelltest.Paste(t, line)
		if !slices.Equal(args, []string{"runs", "--instance", name, "--failed"}) || len(files) > 0 {
			t.Errorf("%q: %s\ngave %q and the files %q", name, line, args, files)
		}
	}
}

// The trap is live: the names run something where they are put between quotation marks, or nowhere.
func TestTheHostileNamesAreHostile(t *testing.T) {
	names := shelltest.Hostile
	for _, line := range []string{"pgharbor set '" + names[0] + "'", `pgharbor set "` + names[1] + `"`, "pgharbor set " + names[2]} {
		if _, files := shelltest.Paste(t, line); len(files) == 0 {
			t.Errorf("%s: nothing happens", line)
		}
	}
}

// Anyone who pastes the prose with it, apostrophes and all, runs nothing either. Quotation marks
// would turn inside out.
func TestAnApostropheBeforeTheCommandOpensNothing(t *testing.T) {
	for _, name := range slices.Concat(shelltest.Hostile, shelltest.Unseen) {
		for _, format := range []string{"echo the agent's disk: pgharbor set %s", `echo say "now: pgharbor set %s`, "echo it's the agent's: pgharbor set %s, or 'x"} {
			line := shell.Command(format, name)
			if _, files := shelltest.Paste(t, line); len(files) > 0 {
				t.Errorf("%q: %s\nmade %q", name, line, files)
			}
		}
	}
	if _, files := shelltest.Paste(t, "echo the agent's disk: pgharbor set 'x;touch y;#'"); len(files) == 0 {
		t.Error("quotation marks would have done")
	}
}

func TestWhatCannotBeSeenIsNotPrintedAsACommand(t *testing.T) {
	for _, name := range shelltest.Unseen {
		line := shell.Command("pgharbor undo %s --confirm %s", "abc", name)
		if !strings.HasPrefix(line, "pgharbor undo abc --confirm NAME (NAME stands for ") || strings.Contains(line, name) {
			t.Errorf("%q: %s", name, line)
		}
	}
}

func TestNumbersAndQuotedWordsStay(t *testing.T) {
	if got := shell.Command("sudo -u '#%d' pgharbor%s %s", uint32(7), shell.Words(" --instances a\\*"), "x"); got != `sudo -u '#7' pgharbor --instances a\* x` {
		t.Error(got)
	}
}

func TestEveryWordComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune(" '\"\\$`;&|<>()*?[]#~=%!{}aü-"))).Draw(t, "name")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", shell.Command("printf %%s %s", name)).Output()
		if err != nil || string(out) != name {
			t.Fatalf("%q came back as %q, %v", name, out, err)
		}
	})
}
