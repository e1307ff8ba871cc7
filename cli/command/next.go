package command

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/shell"
	"github.com/pgharbor/pgharbor/internal/unloadable"
	"github.com/pgharbor/pgharbor/internal/words"
)

// contentStep is the next step for a dump whose code would gain rights. Code may refuse to run on purpose, so that
// somebody runs it with more rights.
const contentStep = "give the object to another owner, or change it, in the source and back up again, or give the agent what the error says it lacks; " +
	"--trust-content runs that code with all the rights of the agent: read it first, for it may itself have refused to run with fewer"

// jobEnd returns the error of a job that did not succeed, or nil.
func jobEnd(kind, id, instance, state, text, failure string) error {
	if state == words.Succeeded {
		return nil
	}
	if text == "" {
		text = "no reason was given"
	}
	p := exit.Fail(exit.OfFailure(failure), "the %s %s: %s", kind, state, text)
	p.Hint = nextStep(kind, failure, text, instance, id)
	return p
}

// nextStep returns what to do after a job of an instance failed, by its kind and the word for its failure; "" if the
// error says all.
func nextStep(kind, failure, text, instance, id string) string {
	if step := unloadable.NextStep(text); step != "" && (kind == "verify" || kind == "restore" && failure == words.FailureOther) {
		return withWords(step, instance, id, text)
	}
	if kind == "verify" && failure == words.FailureIntegrity {
		step := shell.Command("that backup counts for nothing from now on: make another with pgharbor backup %s, and verify that; "+
			"if that fails too, the content of the database does not load", instance)
		return withWords(step, instance, id, text)
	}
	switch failure {
	case words.FailureIntegrity:
		return shell.Command("nothing of it was used; another backup: pgharbor list --instance %s", instance)
	case words.FailureNotAllowed:
		return "what its host allows, as of its agent's last word, which may be older than this: pgharbor agents show " + output.Name(instance)
	case words.FailureUnreachable:
		return "see whether the agent is there: pgharbor agents list"
	case words.FailurePassphrase:
		return "the agent needs the passphrase that the backup was sealed with, see BACKUP_OLD_PASSPHRASES_FILE"
	case words.FailureExists:
		return "give another name with --to-database, and repeat it with --confirm; or add --replace, which keeps the old one"
	case words.FailureContent:
		return withWords(contentStep, instance, id, text)
	case words.FailureOther:
		return inFull(instance, id, text)
	}
	return ""
}

// withWords adds to a next step if the server's own words are, if it has said more than the error
// does.
func withWords(step, instance, id, text string) string {
	if said := inFull(instance, id, text); said != "" {
		return step + "; " + said
	}
	return step
}

// wordsStay matches the errors by which an agent shows that a server or a tool said more than may leave the host.
var wordsStay = regexp.MustCompile(`\bSQLSTATE [0-9A-Z]{5}\b|\b(pg_dump|pg_dumpall|pg_restore|psql|initdb|postgres): (exit status|signal:) |\bstay on the host\b`)

// inFull returns where the server's own words are. They stay on the host, because they may quote rows. It takes the id
// of a run, a job or a backup, and what is known about its end; "" if the host knows no more than that.
func inFull(instance, id string, told ...string) string {
	if !wordsStay.MatchString(strings.Join(told, "\n")) {
		return ""
	}
	return fmt.Sprintf("the server's own words are on the host of %s: pgharbor-agent runs %s", output.Name(instance), output.Name(id))
}
