package exit_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/words"
)

func TestAProblemWrapsItsCauseAndQuotesItsHint(t *testing.T) {
	p := exit.Fail(exit.Integrity, "read it: %w", fs.ErrNotExist).WithHint("pgharbor show %s", "a b")
	if !errors.Is(p, fs.ErrNotExist) || p.Error() != "read it: file does not exist" || p.Hint != `pgharbor show a\ b` {
		t.Errorf("%+v", p)
	}
	if p := (&exit.Problem{Err: fs.ErrExist}); p.Error() != fs.ErrExist.Error() {
		t.Errorf("without a text of its own: %q", p.Error())
	}
}

func TestAFailureHasTheExitCodeOfItsKind(t *testing.T) {
	for failure, want := range map[string]int{
		words.FailureIntegrity: exit.Integrity, words.FailureNotFound: exit.NotFound, words.FailureNotAllowed: exit.Denied,
		words.FailureUnreachable: exit.Unreachable, words.FailureOther: exit.Failed, words.FailurePassphrase: exit.Failed, "": exit.Failed,
	} {
		if got := exit.OfFailure(failure); got != want {
			t.Errorf("%q: %d, want %d", failure, got, want)
		}
	}
}

func TestAReportIsOneLineAndPerhapsAHint(t *testing.T) {
	var out strings.Builder
	exit.Report(&out, "pgharbor", "no", "")
	exit.Report(&out, "pgharbor", "no", "yes")
	if want := "pgharbor: no\npgharbor: no\nhint: yes\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}
