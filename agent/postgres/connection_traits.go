package postgres

import (
	"context"
	"fmt"
)

// traits are what the parameters of a session depend on.
type traits struct {
	major     int  // of the server's version; 0 where it is not known
	superuser bool // the login, whatever role it takes afterwards
}

// traits are the server's, as far as a session has told; none before.
func (c *Connection) traits() traits {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// learn opens a first session to see which parameters the server takes, in a database for the whole instance: those who
// can put something into that which runs at login are superusers.
func (c *Connection) learn(ctx context.Context) (traits, error) {
	if known := c.traits(); known.major != 0 {
		return known, nil
	}
	conn, err := c.inSome(nil, func(database string) (*Session, error) {
		return c.dial(ctx, database, traits{}, looking)
	})
	if err != nil {
		return traits{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := reported(conn)
	if err != nil {
		return traits{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = found
	return found, nil
}

// forget has the next session learn again.
func (c *Connection) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = traits{}
}

// reported is what the server said of itself when the session began.
func reported(conn *Session) (traits, error) {
	version := conn.ParameterStatus("server_version")
	major := leadingNumber(version)
	if major <= 0 {
		return traits{}, fmt.Errorf("%w: it says that its version is %q", ErrPooler, version)
	}
	return traits{major: major, superuser: conn.ParameterStatus("is_superuser") == "on"}, nil
}
