// Package postgres reaches one PostgreSQL instance: by sessions for what SQL can do, and by pg_dump, pg_restore, psql and
// pg_dumpall for the rest. Nothing else of the agent opens a session or runs one of these programs.
//
// # Parts
//
// An Instance has all parts in one, and is what most callers hold. Each part is a type that can be used without the Instance. The
// names of its files begin with its own. A dir is a private folder, for the files through which tools get secrets.
//
//	part            files            needs            what it is for
//	Settings        settings*.go     -                how the instance is reached, as psql would find out
//	Connection      connection*.go   Settings         opens sessions, asks and executes, learns what the server takes
//	DatabaseAdmin   databases*.go    Connection       lists, makes, renames, exchanges, marks and drops databases
//	Contents        contents*.go     Connection       the tables in a database: lists, counts, analyzes
//	RoleAdmin       roles*.go        Connection       makes roles from a script of them, drops those that restores made
//	Preflight       preflight*.go    Connection       what the server lacks, and what this role may not do
//	Logins          logins*.go       Connection, dir  logs in as a role that can do less, to run what others wrote
//	Tools           tools*.go        Connection, dir  finds PostgreSQL's programs, and runs them in a cage
//	Dumper          dump*.go         Tools            pg_dump and pg_dumpall
//	Loader          load*.go         Tools            psql and pg_restore, and what their failures mean
//
// Beside them: server_error.go and sqlstate.go are what a server refuses something with, quote.go makes names and text fit for SQL, and
// names_json.go makes them fit for JSON. Package postgrestest starts servers for tests.
//
// # Rules
//
// Only sessions hear the server. A [Session] makes a [ServerError] of each of its errors, and [ToolError] does the same for the
// programs. Their text is a code and names, and may leave the host. The server's own words may quote rows; they stay here, for [Words].
// A test holds that the three files that open sessions are the only ones of the agent that import pgx.
//
// Names are qualified. All SQL says the schema of what it names, because whoever owns a database sets the search path of who comes
// to it. A test reads all SQL of the agent for that.
//
// Parameters come first. A session begins with parameters of ours, which the server takes before those of databases and roles; the
// tools' sessions too, by PGOPTIONS. What answers and does not take them, as a pooler, is refused: [ErrPooler].
//
// Names are bytes. A name of a database is any bytes that PostgreSQL allows, in whatever encoding. It goes to the tools through the
// environment, or quoted in a connection string; never bare, where one with "=" in it would be a connection string itself.
//
// Secrets stay private. A password reaches the tools through a file in a private folder, never through arguments or the environment.
// What prints a [Settings] prints no password.
package postgres
