// Package dump reads the SQL that pg_dump and pg_dumpall write: its statements and their words, who is to own what they make, and the code that
// each may have the server run. It knows no server.
//
// What is written to Definitions is split into statements (split.go), each of a kind that pg_dump writes (kinds.go), and put into the stage in
// which a load runs it (definitions.go). Statement.Code (code.go) tells the expressions of a statement.
package dump
