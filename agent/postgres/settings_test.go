package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSettingsFrom(t *testing.T) {
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte("[prod]\nhost=service\nport=7\nuser=service\n[odd]\nhots=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		environ []string
		want    map[string]string
		err     string
	}{
		{"nothing set", nil, map[string]string{}, ""},
		{"variables", []string{"PGHOST=h", "PGPORT=1", "PGUSER=u", "PGDATABASE=d", "PGSSLMODE=require"},
			map[string]string{"host": "h", "port": "1", "user": "u", "dbname": "d", "sslmode": "require"}, ""},
		{"a URI over variables", []string{"DATABASE_URL=postgres://u:p%40ss@h:1/d?sslmode=disable", "PGHOST=other", "PGAPPNAME=a"},
			map[string]string{"host": "h", "port": "1", "user": "u", "password": "p@ss", "dbname": "d", "sslmode": "disable", "application_name": "a"}, ""},
		{"an empty part of a URI leaves the variable", []string{"DATABASE_URL=postgresql:///d", "PGHOST=h"},
			map[string]string{"host": "h", "dbname": "d"}, ""},
		{"a socket folder in a URI", []string{"DATABASE_URL=postgresql://%2Frun%2Fpg/d"},
			map[string]string{"host": "/run/pg", "dbname": "d"}, ""},
		{"several hosts and IPv6", []string{"DATABASE_URL=postgresql://a:1,[::1]:2,c/d"},
			map[string]string{"host": "a,::1,c", "port": "1,2,", "dbname": "d"}, ""},
		{"the parameters of a URI", []string{"DATABASE_URL=postgresql://h/d?ssl=true&user=a%26b"},
			map[string]string{"host": "h", "dbname": "d", "sslmode": "require", "user": "a&b"}, ""},
		{"keywords and values", []string{`DATABASE_URL=host = h password='a \' b\\' dbname=x\ y`},
			map[string]string{"host": "h", "password": `a ' b\`, "dbname": "x y"}, ""},
		{"an empty keyword hides the variable", []string{"DATABASE_URL=host=''", "PGHOST=h"}, map[string]string{}, ""},
		{"the name of a database", []string{"DATABASE_URL=shop"}, map[string]string{"dbname": "shop"}, ""},
		{"a service over variables and under the URI", []string{"DATABASE_URL=postgresql://u@/d?service=prod", "PGSERVICEFILE=" + services, "PGHOST=h", "PGSSLMODE=require"},
			map[string]string{"host": "service", "port": "7", "user": "u", "dbname": "d", "sslmode": "require"}, ""},
		{"no such service", []string{"PGSERVICE=none", "PGSERVICEFILE=" + services}, nil, `service "none"`},
		{"an unknown parameter in a service", []string{"PGSERVICE=odd", "PGSERVICEFILE=" + services}, nil, `"hots"`},
		{"an unknown parameter in a URI", []string{"DATABASE_URL=postgresql://h/d?sslmodus=x"}, nil, `"sslmodus"`},
		{"an unknown keyword", []string{"DATABASE_URL=hots=x"}, nil, `"hots"`},
		{"an open quote", []string{"DATABASE_URL=password='hunter2"}, nil, "quote is not closed"},
		{"bad percent-encoding", []string{"DATABASE_URL=postgresql://u:hunter2%zz@h/d"}, nil, "percent-encoded"},
		{"a password that no passfile holds", []string{"PGPASSWORD=hunter2\nx"}, nil, "line break"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settings, err := SettingsFrom(test.environ)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v does not say %q", err, test.err)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error holds the password: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, settings.values); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAURIIsReadAsLibpqReadsIt(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"postgresql://u:a?b=c@h/d?sslmode=disable": {"host": "h", "user": "u", "password": "a?b=c", "dbname": "d", "sslmode": "disable"},
		"postgresql://h/d?application_name=a@b":    {"host": "h", "dbname": "d", "application_name": "a@b"},
		"host=h dbname=x application_name=a://b":   {"host": "h", "dbname": "x", "application_name": "a://b"},
	} {
		if got, err := parseConnection(text); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// psql takes these for the name of a database, and so connects to the local server with a password in its title.
func TestWhatLooksLikeAURLIsRefusedAndNotPrinted(t *testing.T) {
	for _, entry := range []string{
		"DATABASE_URL=postgresql+psycopg2://u:hunter2@h/d", `DATABASE_URL="postgres://u:hunter2@h/d"`, "DATABASE_URL= postgres://u:hunter2@h/d?sslmode=require",
		"DATABASE_URL=Postgres://u:hunter2@h/d?sslmode=require", "PGDATABASE=postgres://u:hunter2@h/d",
	} {
		if _, err := SettingsFrom([]string{entry}); err == nil || !strings.Contains(err.Error(), "URL") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

func TestSettingsPrintNoSecret(t *testing.T) {
	settings, err := SettingsFrom([]string{"DATABASE_URL=postgresql://u:hunter2@h/d?sslpassword=hunter3"})
	if err != nil {
		t.Fatal(err)
	}
	nested := struct{ inner Settings }{settings}
	for _, text := range []string{fmt.Sprint(settings), fmt.Sprintf("%+v %#v", settings, settings), fmt.Sprintf("%+v %#v", nested, nested), settings.LogValue().String()} {
		if strings.Contains(text, "hunter") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}

// Any value survives being written as a keyword and being read again.
func TestConninfoRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[^\x00]*`).Draw(t, "value")
		got, err := parseKeywords("user=x dbname=" + quoteConninfo(value) + " port=1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"user": "x", "dbname": value, "port": "1"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseConnection(f *testing.F) {
	for _, seed := range []string{"postgres://u:p@h:1,[::1]:2/d?sslmode=x", "host=h password='a\\'b'", "shop", "postgresql://[::1", "a=\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseConnection(text)
		if err != nil {
			return
		}
		if err := known(values); err != nil {
			t.Errorf("%q was read and has an %v", text, err)
		}
	})
}
