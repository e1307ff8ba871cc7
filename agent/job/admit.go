package job

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/backup"
)

// Consent is what a person says of a file of which nothing proves who made it.
type Consent string

// What there is to say.
const (
	ConsentUnsigned Consent = "unsigned" // it may be loaded sandboxed, whatever psql does with it
	ConsentTrust    Consent = "trust"    // they know who made it: it is loaded with the agent's rights
)

// admit reports whether a file must be loaded sandboxed, by who made it. A file that no known agent
// made is refused if psql is known to run commands from a crafted dump, unless somebody consents.
func (a *admission) admit(ctx context.Context, origin backup.Origin, consent Consent) (sandboxed bool, err error) {
	switch {
	case origin.Proven():
		return false, nil
	case consent == ConsentTrust:
		a.log.Warn("nothing proves who made this file; it is loaded with all the rights of the agent, because you said so", "origin", origin.Kind)
		return false, nil
	// What is in the agent's own folder was put there on this host; what else is said of a file,
	// anybody may say.
	case origin.Kind != backup.OriginFolder && consent != ConsentUnsigned:
		if err := a.checkClient(ctx); err != nil {
			return false, err
		}
	}
	a.log.Warn("nothing proves who made this file; it is loaded as a role that has the new database and nothing else, and owns all that is in it",
		"origin", origin.Kind)
	return true, nil
}

// checkClient refuses a psql that runs commands from a crafted dump.
func (a *admission) checkClient(ctx context.Context) error {
	tools, err := a.engine.Instance.ToolVersions(ctx)
	if err != nil {
		return err
	}
	for _, warning := range VulnerableTools(tools) {
		if strings.HasPrefix(warning, "psql ") {
			return fmt.Errorf("%w, and %s", backup.ErrUnproven, warning)
		}
	}
	return nil
}
