package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// The folder of a person's logins:
//
//	contexts/<name>/  an identity, as package client keeps it
//	current           the name of the context in use
const (
	configVariable = "PGHARBOR_CONFIG"
	contextsFolder = "contexts"
	currentFile    = "current"
	defaultContext = "default"
)

var contextForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (a *app) configFolder() (string, error) {
	if a.configFlag != "" {
		return a.configFlag, nil
	}
	if dir := a.Getenv(configVariable); dir != "" {
		return dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no config folder, set %s: %w", configVariable, err)
	}
	return filepath.Join(dir, "pgharbor"), nil
}

// contextFolder returns the folder of a context's identity.
func (a *app) contextFolder(name string) (string, error) {
	if !contextForm.MatchString(name) {
		return "", exit.Fail(exit.Usage, "%q is no name for a context: use letters, digits, '.', '_' and '-'", name)
	}
	config, err := a.configFolder()
	if err != nil {
		return "", err
	}
	return filepath.Join(config, contextsFolder, name), nil
}

// currentContext is the name that --context gives, or else the one in use.
func (a *app) currentContext() (string, error) {
	if a.contextFlag != "" {
		return a.contextFlag, nil
	}
	config, err := a.configFolder()
	if err != nil {
		return "", err
	}
	name, err := os.ReadFile(filepath.Join(config, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return defaultContext, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the context in use: %w", err)
	}
	return strings.TrimSpace(string(name)), nil
}

func (a *app) useContext(name string) error {
	config, err := a.configFolder()
	if err != nil {
		return err
	}
	path := filepath.Join(config, currentFile)
	if err := renameio.WriteFile(path, []byte(name+"\n"), 0o600, renameio.WithTempDir(config)); err != nil {
		return fmt.Errorf("keep the context in use: %w", err)
	}
	return nil
}

// dial connects as the person of the context in use, and renews the certificate
// where that is due.
func (a *app) dial(ctx context.Context) (*grpc.ClientConn, error) {
	dir, err := a.currentFolder()
	if err != nil {
		return nil, err
	}
	identity, err := client.Load(dir)
	if err != nil {
		return nil, err
	}
	return a.dialAs(ctx, identity)
}

// currentFolder is the folder of the context in use.
func (a *app) currentFolder() (string, error) {
	name, err := a.currentContext()
	if err != nil {
		return "", err
	}
	return a.contextFolder(name)
}

func (a *app) dialAs(ctx context.Context, identity *client.Identity) (*grpc.ClientConn, error) {
	a.address = identity.Address()
	conn, err := identity.Dial(grpc.WithChainUnaryInterceptor(a.approveUnary, a.limitUnary))
	if err != nil {
		return nil, err
	}
	// The old certificate still holds, so this is no reason to fail; where nobody
	// answers, the command itself says so.
	if _, err := identity.RenewIfDue(ctx, conn, a.Now()); err != nil {
		if p := a.explain(err); p.Code != exit.Unreachable {
			a.say("pgharbor: warning: the certificate, which ends %s, is not renewed: %s",
				identity.NotAfter().In(a.Now().Location()).Format(time.RFC3339), output.Line(p.Text))
		}
	}
	return conn, nil
}

func (a *app) limitUnary(ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, opts...)
}
