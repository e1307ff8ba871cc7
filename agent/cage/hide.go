package cage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// allBut calls visible for the files and folders that together are all but the hidden ones.
// Landlock can only allow, and what it allows of a folder, it allows of all that is in it: so these
// are the neighbours of the hidden ones, of the folders that these are in, and so on.
func allBut(hidden []string, visible func(path string) error) error {
	var real []string
	for _, path := range hidden {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		real = append(real, filepath.Clean(path))
	}
	return outside("/", real, visible)
}

func outside(dir string, hidden []string, visible func(path string) error) error {
	within := strings.TrimSuffix(dir, "/") + "/"
	if !slices.ContainsFunc(hidden, func(path string) bool { return strings.HasPrefix(path, within) }) {
		return visible(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // what can't be listed is closed to the program too, as it is to this one
	}
	for _, entry := range entries {
		path := within + entry.Name()
		// What a link leads to has a name of its own.
		if entry.Type()&os.ModeSymlink != 0 || slices.Contains(hidden, path) {
			continue
		}
		if err := outside(path, hidden, visible); err != nil {
			return err
		}
	}
	return nil
}
