// Package usage says of a command line that is wrong what is missing from it.
package usage

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// NameMissing makes every command below root name the argument that it was not given, in place of how many it wants.
func NameMissing(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		NameMissing(cmd)
	}
	check := root.Args
	if check == nil {
		return
	}
	root.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if wanted := arguments(cmd.Use); err != nil && len(args) < len(wanted) {
			return fmt.Errorf("the %s is missing", strings.ReplaceAll(wanted[len(args)], "|", " or "))
		}
		return err
	}
}

// arguments are those that a command can't do without, as its usage names them: what comes before flags and options.
func arguments(use string) (wanted []string) {
	for n, word := range strings.Fields(use) {
		switch {
		case strings.ContainsAny(word[:1], "-["):
			return wanted
		case n > 0:
			wanted = append(wanted, word)
		}
	}
	return wanted
}
