package postgres

import "errors"

// Settings are libpq's connection keywords. They print without the secrets.
type Settings struct{}

// SettingsFrom resolves how to reach the instance as psql would: DATABASE_URL (a URI or keywords and values) over the
// service that it or PGSERVICE names, over the PG* variables. environ is as os.Environ returns it; its PATH and HOME
// are those of the tools. An unknown parameter is an error that names it.
func SettingsFrom(environ []string) (Settings, error) { return Settings{}, errors.ErrUnsupported }

// Database is the database to connect to where nothing else is asked for; may be empty.
func (s Settings) Database() string { return "" }

// Host is the host or the folder of the socket; empty means libpq's default.
func (s Settings) Host() string { return "" }

// Port is the port as text; empty means libpq's default.
func (s Settings) Port() string { return "" }

// User is the role to connect as; empty means libpq's default.
func (s Settings) User() string { return "" }

// String describes the settings without passwords.
func (s Settings) String() string { return "" }
