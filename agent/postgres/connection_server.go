package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Server is what a server says of itself.
type Server struct {
	Version     string // "15.18", as server_version begins
	Number      int    // 150018
	Superuser   bool
	CurrentUser string
}

// Server asks the server what it is.
func (c *Connection) Server(ctx context.Context) (Server, error) {
	rows, err := c.Query(ctx, `SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num'),
		rolsuper::pg_catalog.text, rolname FROM pg_catalog.pg_roles WHERE rolname = current_user`)
	if err != nil {
		return Server{}, err
	}
	if len(rows) != 1 {
		return Server{}, errors.New("the server does not know its own user")
	}
	// "15.18 (Debian 15.18-0+deb12u1)": what follows the number is the packager's.
	version, _, _ := strings.Cut(rows[0][0], " ")
	number, err := strconv.Atoi(rows[0][1])
	if err != nil {
		return Server{}, fmt.Errorf("server_version_num: %w", err)
	}
	return Server{Version: version, Number: number, Superuser: rows[0][2] == "true", CurrentUser: rows[0][3]}, nil
}

// Clock asks the server what time it is there, UTC.
func (c *Connection) Clock(ctx context.Context) (time.Time, error) {
	rows, err := c.Query(ctx, "SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.numeric(20,3)")
	if err != nil {
		return time.Time{}, err
	}
	if len(rows) != 1 {
		return time.Time{}, fmt.Errorf("the server does not say what time it is")
	}
	seconds, err := strconv.ParseFloat(rows[0][0], 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the server's time: %w", err)
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
}
