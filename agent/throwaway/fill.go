package throwaway

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// AddTablespace makes an empty tablespace within the server's folder, for everybody.
func (s *Server) AddTablespace(ctx context.Context, name string) error {
	s.spaces++
	folder := filepath.Join(spaceFolder, strconv.Itoa(s.spaces))
	if err := s.makeFolder(folder); err != nil {
		return err
	}
	if err := s.Execute(ctx, "CREATE TABLESPACE "+postgres.QuoteName(name)+" LOCATION"+postgres.QuoteLiteral(filepath.Join(s.dir, folder))); err != nil {
		return err
	}
	return s.Execute(ctx, "GRANT CREATE ON TABLESPACE "+postgres.QuoteName(name)+" TO PUBLIC")
}

// AddRoles makes the roles that the server does not have and of which only the name is known. None may log in. Each is a
// superuser: what a role could do is not known, and what it lacks here must not count against a backup.
func (s *Server) AddRoles(ctx context.Context, roles []string) error {
	missing, err := s.MissingRoles(ctx, roles)
	if err != nil {
		return err
	}
	slices.Sort(missing)
	for _, role := range slices.Compact(missing) {
		if err := s.Execute(ctx, "CREATE ROLE "+postgres.QuoteName(role)+" SUPERUSER NOLOGIN"); err != nil {
			return fmt.Errorf("role %q: %w", role, err)
		}
	}
	return nil
}
