package usage_test

import (
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/internal/usage"
)

func TestWhatIsMissingIsNamed(t *testing.T) {
	for want, line := range map[string][]string{
		"the INVITE is missing":            {"login"},
		"the FILE or ID is missing":        {"verify"},
		"the PERMISSION is missing":        {"users", "grant", "olga"},
		"accepts 1 arg(s), received 2":     {"login", "a", "b"},
		`unknown command "x" for "p list"`: {"list", "x"},
	} {
		done := func(*cobra.Command, []string) error { return nil }
		root := &cobra.Command{Use: "p", SilenceErrors: true, SilenceUsage: true}
		users := &cobra.Command{Use: "users"}
		users.AddCommand(&cobra.Command{Use: "grant NAME PERMISSION [--instances GLOBS]", Args: cobra.ExactArgs(2), RunE: done})
		root.AddCommand(users,
			&cobra.Command{Use: "login INVITE", Args: cobra.ExactArgs(1), RunE: done},
			&cobra.Command{Use: "verify FILE|ID", Args: cobra.ExactArgs(1), RunE: done},
			&cobra.Command{Use: "list [--all]", Args: cobra.NoArgs, RunE: done})
		usage.NameMissing(root)
		root.SetArgs(line)
		root.SetOut(io.Discard)
		if err := root.Execute(); err == nil || err.Error() != want {
			t.Errorf("%v: %v, and not %q", line, err, want)
		}
	}
}
