package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgservicefile"
)

// variables are libpq's connection keywords, each with its environment variable, or "" where it has none.
// Source: PostgreSQL 18 documentation, "Parameter Key Words" and "Environment Variables" of libpq.
var variables = map[string]string{
	"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER",
	"password": "PGPASSWORD", "passfile": "PGPASSFILE", "require_auth": "PGREQUIREAUTH", "channel_binding": "PGCHANNELBINDING",
	"connect_timeout": "PGCONNECT_TIMEOUT", "client_encoding": "PGCLIENTENCODING", "options": "PGOPTIONS",
	"application_name": "PGAPPNAME", "fallback_application_name": "",
	"keepalives": "", "keepalives_idle": "", "keepalives_interval": "", "keepalives_count": "", "tcp_user_timeout": "",
	"replication": "", "gssencmode": "PGGSSENCMODE", "sslmode": "PGSSLMODE", "sslnegotiation": "PGSSLNEGOTIATION",
	"sslcompression": "PGSSLCOMPRESSION", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslkeylogfile": "", "sslpassword": "",
	"sslcertmode": "PGSSLCERTMODE", "sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR",
	"sslsni": "PGSSLSNI", "requirepeer": "PGREQUIREPEER", "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
	"ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION", "min_protocol_version": "PGMINPROTOCOLVERSION",
	"max_protocol_version": "PGMAXPROTOCOLVERSION", "krbsrvname": "PGKRBSRVNAME", "gsslib": "PGGSSLIB",
	"gssdelegation": "PGGSSDELEGATION", "service": "PGSERVICE", "servicefile": "PGSERVICEFILE",
	"target_session_attrs": "PGTARGETSESSIONATTRS", "load_balance_hosts": "PGLOADBALANCEHOSTS",
}

// inherited are the variables that tools get as they are: how to find libraries, files of the home, Kerberos tickets
// and certificates. All others stay away from them, the agent's own secrets among them.
var inherited = []string{"PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "KRB5CCNAME", "KRB5_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// Settings are libpq's connection keywords. They print without the secrets.
type Settings struct {
	// A pointer, because fmt would print the fields of a struct within another.
	*resolved
}

type resolved struct {
	values  map[string]string // by keyword; none is empty
	environ map[string]string // what of inherited is set
}

// SettingsFrom resolves how to reach the instance as psql would: DATABASE_URL (a URI, or keywords and values, or the
// name of a database) over the service that it or PGSERVICE names, over the PG* variables. environ is as os.Environ
// returns it; its PATH and HOME are those of the tools. An unknown parameter is an error that names it.
func SettingsFrom(environ []string) (Settings, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	given, err := parseConnection(env["DATABASE_URL"])
	if err != nil {
		return Settings{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	values := map[string]string{}
	for keyword, variable := range variables {
		if variable != "" && env[variable] != "" {
			values[keyword] = env[variable]
		}
	}
	for _, keyword := range []string{"service", "servicefile"} {
		if value, ok := given[keyword]; ok {
			values[keyword] = value
		}
	}
	service, err := readService(values["service"], values["servicefile"], env)
	if err != nil {
		return Settings{}, err
	}
	maps.Copy(values, service)
	maps.Copy(values, given)
	delete(values, "service")
	delete(values, "servicefile")
	maps.DeleteFunc(values, func(_, value string) bool { return value == "" })
	if looksLikeURL(values["dbname"]) {
		return Settings{}, errors.New("PGDATABASE is the name of a database, and here it is a URL: set DATABASE_URL to it, and not PGDATABASE")
	}
	if strings.ContainsAny(values["password"], "\n\r") {
		return Settings{}, errors.New("the password has a line break, which no passfile can hold")
	}
	settings := Settings{&resolved{values: values, environ: map[string]string{}}}
	for _, name := range inherited {
		if value, ok := env[name]; ok {
			settings.environ[name] = value
		}
	}
	return settings, nil
}

// readService returns the keywords of a service: of the file given, else of the user's, else of the system's.
func readService(name, file string, env map[string]string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	files := []string{file}
	if file == "" {
		files = []string{filepath.Join(env["HOME"], ".pg_service.conf")}
	}
	for _, dir := range []string{env["PGSYSCONFDIR"], "/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc"} {
		if dir != "" {
			files = append(files, filepath.Join(dir, "pg_service.conf"))
		}
	}
	for _, file := range files {
		services, err := pgservicefile.ReadServicefile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("service file %s: %w", file, err)
		}
		if service, err := services.GetService(name); err == nil {
			return service.Settings, known(service.Settings)
		}
	}
	return nil, fmt.Errorf("service %q is defined in none of %s", name, strings.Join(files, ", "))
}

// known returns an error that names a keyword which libpq does not have.
func known(settings map[string]string) error {
	for _, keyword := range slices.Sorted(maps.Keys(settings)) {
		if _, ok := variables[keyword]; !ok {
			return fmt.Errorf("unknown connection parameter %q", keyword)
		}
	}
	return nil
}

// get returns the value of a keyword, also of the zero Settings.
func (s Settings) get(keyword string) string {
	if s.resolved == nil {
		return ""
	}
	return s.values[keyword]
}

// Database is the database to connect to where nothing else is asked for; may be empty.
func (s Settings) Database() string { return s.get("dbname") }

// Host is the host or the folder of the socket; empty means libpq's default.
func (s Settings) Host() string { return s.get("host") }

// User is the role to connect as; empty means libpq's default.
func (s Settings) User() string { return s.get("user") }

// SecretFiles are the files with secrets that the connection reads, by the variable that names each; of the passfile and
// the key, those in the home where none is named. They need not exist. Who has a password has no use for a passfile.
func (s Settings) SecretFiles() map[string]string {
	files := map[string]string{}
	for keyword, standard := range map[string]string{"passfile": ".pgpass", "sslkey": ".postgresql/postgresql.key"} {
		path := s.get(keyword)
		if keyword == "passfile" && s.get("password") != "" {
			continue
		}
		if path == "" && s.resolved != nil && s.environ["HOME"] != "" {
			path = filepath.Join(s.environ["HOME"], standard)
		}
		if path != "" {
			files[variables[keyword]] = path
		}
	}
	return files
}

// String describes the settings by what is no secret.
func (s Settings) String() string {
	var words []string
	for _, keyword := range []string{"host", "port", "user", "dbname"} {
		if value := s.get(keyword); value != "" {
			words = append(words, keyword+"="+quoteConninfo(value))
		}
	}
	return strings.Join(words, " ")
}

// GoString implements fmt.GoStringer.
func (s Settings) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
