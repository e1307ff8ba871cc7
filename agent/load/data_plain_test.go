package load

import "testing"

// What a second reading of a dump may do beside COPY is to set sequences and to fill large objects.
func TestOnlyPlainDataStatementsAreRunAgain(t *testing.T) {
	for sql, want := range map[string]bool{
		"BEGIN": true, "COMMIT": true, `SELECT pg_catalog.setval('public."a''b"', 7, true)`: true, `SELECT pg_catalog.lowrite(0, '\x00ff')`: true, "SELECT pg_catalog.lo_open('7', 131072)": true,
		"SELECT pg_catalog.setval('s', (SELECT f()), true)": false, `SELECT pg_catalog.setval('s\', 1, true); f()`: false, `SELECT pg_catalog.setval('"CORP\j".s', 1, true)`: true, `SELECT pg_catalog.setval('s\', 1, true), f('', 1, true)`: false, "SELECT pg_catalog.lo_close(0) FROM f()": false,
		`SELECT pg_catalog.lowrite(0, f())`: false, "BEGIN; SELECT f()": false,
	} {
		if got := dataStatement.MatchString(sql); got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}
