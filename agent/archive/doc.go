// Package archive reads dumps in pg_dump's custom format: the table of contents (contents.go), where the data of each entry stand (index.go), and
// the data themselves (read.go). It knows no server. The format is that of pg_backup_custom.c and pg_backup_archiver.c of PostgreSQL.
package archive
