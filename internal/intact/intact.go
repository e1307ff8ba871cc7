// Package intact says which backups count, for health's freshness as for retention: one
// rule for the agent, which decides, the catalog, which answers, and the CLI, which plans.
package intact

import "github.com/pgharbor/pgharbor/internal/words"

// The words of the manifest, the wire and the catalog on which it depends.
const (
	Present           = words.BackupPresent
	TestRestoreFailed = words.Failed
)

// Is reports whether a backup is whole as far as known: its manifest and its file belong together,
// nothing speaks against the file, and no test restore of it has failed.
func Is(complete bool, state, testRestore string) bool {
	return complete && state == Present && testRestore != TestRestoreFailed
}
