// Package logins is the folder of a person's logins on one machine, each of them a context with a name.
package logins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/pgharbor/pgharbor/internal/exit"
)

// Variable names the environment variable that has the folder.
const Variable = "PGHARBOR_CONFIG"

// Default is the name of a context if nobody has given one.
const Default = "default"

const (
	contextsFolder = "contexts"
	currentFile    = "current"
)

var contextForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Folder is the folder of a person's logins:
//
//	contexts/<name>/  an identity, as package client keeps it
//	current           the name of the context in use
type Folder struct {
	// Path and Context are what the command line says, or empty: then the environment says where the folder is, and the
	// folder which context is in use.
	Path, Context string
	Getenv        func(string) string
}

func (f *Folder) path() (string, error) {
	if f.Path != "" {
		return f.Path, nil
	}
	if dir := f.Getenv(Variable); dir != "" {
		return dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no config folder, set %s: %w", Variable, err)
	}
	return filepath.Join(dir, "pgharbor"), nil
}

// Identity returns the folder of the identity of a context.
func (f *Folder) Identity(name string) (string, error) {
	if !contextForm.MatchString(name) {
		return "", exit.Fail(exit.Usage, "%q is no name for a context: use letters, digits, '.', '_' and '-'", name)
	}
	config, err := f.path()
	if err != nil {
		return "", err
	}
	return filepath.Join(config, contextsFolder, name), nil
}

// Current returns the name of the context that the command line gives, or else of the one in use.
func (f *Folder) Current() (string, error) {
	if f.Context != "" {
		return f.Context, nil
	}
	config, err := f.path()
	if err != nil {
		return "", err
	}
	name, err := os.ReadFile(filepath.Join(config, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Default, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the context in use: %w", err)
	}
	return strings.TrimSpace(string(name)), nil
}

// Use makes a context the one in use.
func (f *Folder) Use(name string) error {
	config, err := f.path()
	if err != nil {
		return err
	}
	path := filepath.Join(config, currentFile)
	if err := renameio.WriteFile(path, []byte(name+"\n"), 0o600, renameio.WithTempDir(config)); err != nil {
		return fmt.Errorf("keep the context in use: %w", err)
	}
	return nil
}

// CurrentIdentity returns the folder of the identity of the context in use.
func (f *Folder) CurrentIdentity() (string, error) {
	name, err := f.Current()
	if err != nil {
		return "", err
	}
	return f.Identity(name)
}

// Names returns the names of all contexts, in their order. What is being enrolled just now is not among them.
func (f *Folder) Names() ([]string, error) {
	config, err := f.path()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(config, contextsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the contexts: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if contextForm.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}
