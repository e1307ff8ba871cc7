package subject_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/subject"
)

func read(t *testing.T, word, database string) subject.Subject {
	t.Helper()
	s, err := subject.Read(word, database)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWithoutAWordItIsTheDatabaseAsBeforeThereWereWords(t *testing.T) {
	if got := read(t, "", "shop"); got != subject.Database("shop") {
		t.Errorf("a name alone is %s", got)
	}
	if got := read(t, "", ""); got != subject.Database("") || got == subject.Instance() {
		t.Errorf("neither word nor name is %s", got)
	}
	if subject.ReadKind("") != subject.Logical {
		t.Error("a backup without a kind is no logical dump")
	}
}

func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	for _, s := range []subject.Subject{
		subject.Database("shop"), subject.Database("instance"), subject.Database(""), subject.Instance(), read(t, "tablespace", "fast"),
	} {
		name, _ := s.Database()
		if s.Word() == "tablespace" {
			name = "fast"
		}
		if got := read(t, s.Word(), name); got != s {
			t.Errorf("%s is read as %s", s, got)
		}
	}
	for _, word := range []string{"logical", "unheard"} {
		if got := subject.ReadKind(word).Word(); got != word {
			t.Errorf("the kind %q is written as %q", word, got)
		}
	}
}

func TestAWholeInstanceIsNoDatabaseWhateverItsName(t *testing.T) {
	for _, s := range []subject.Subject{subject.Instance(), subject.Database(""), read(t, "tablespace", "fast")} {
		if name, ok := s.Database(); ok {
			t.Errorf("%s is the database %q", s, name)
		}
	}
	if name, ok := subject.Database("instance").Database(); !ok || name != "instance" {
		t.Errorf("a database called instance is %q, %t", name, ok)
	}
}

func TestWordAndNameThatContradictAreRefused(t *testing.T) {
	for _, pair := range [][2]string{{"database", ""}, {"instance", "shop"}} {
		if s, err := subject.Read(pair[0], pair[1]); err == nil {
			t.Errorf("%q of %q is %s", pair[0], pair[1], s)
		}
	}
}

func TestWhatANewerOneMadeIsToldByItsWord(t *testing.T) {
	for name, test := range map[string]struct {
		series subject.Series
		newer  string // what it says; "" where the series is known
	}{
		"a dump of a database":      {subject.LogicalOf("shop"), ""},
		"an imported file":          {subject.LogicalOf(""), ""},
		"another kind":              {subject.Series{Subject: subject.Database("shop"), Kind: subject.ReadKind("unheard")}, `"unheard"`},
		"a dump of an instance":     {subject.Series{Subject: subject.Instance()}, "the whole instance"},
		"a dump of something else":  {subject.Series{Subject: read(t, "tablespace", "fast")}, `"tablespace"`},
		"another kind of something": {subject.Series{Subject: read(t, "tablespace", "fast"), Kind: subject.ReadKind("wal")}, `"wal"`},
	} {
		err := test.series.Check()
		if known := test.newer == ""; known != (err == nil) {
			t.Errorf("%s: %v", name, err)
		} else if !known && (!errors.Is(err, subject.ErrNewer) || !strings.Contains(err.Error(), test.newer)) {
			t.Errorf("%s: %v does not name %s", name, err, test.newer)
		}
	}
}

func TestFilesAreNamedByKindAndFormat(t *testing.T) {
	if sql, dump := subject.Logical.Ending("plain"), subject.Logical.Ending("custom"); sql != "sql" || dump != "dump" {
		t.Errorf("a plain dump is called %q, an archive %q", sql, dump)
	}
	if ending := subject.Logical.Ending("tar"); ending != "" {
		t.Errorf("a format that is not known is called %q", ending)
	}
	if ending := subject.ReadKind("unheard").Ending("plain"); ending != "" {
		t.Errorf("a kind that is not known is called %q", ending)
	}
}

func TestEachSubjectHasAPlaceAndEachSeriesAKeyOfItsOwn(t *testing.T) {
	base := subject.ReadKind("unheard")
	seen := map[string]bool{}
	for _, s := range []subject.Subject{
		subject.Database("shop"), subject.Database("instance"), subject.Instance(), read(t, "tablespace", "shop"), read(t, "tablespace", ""), subject.Database(""),
	} {
		for _, text := range []string{"place " + s.Place(), "key " + (subject.Series{Subject: s}).Key(), "key " + (subject.Series{Subject: s, Kind: base}).Key()} {
			if seen[text] {
				t.Errorf("%q stands for two, one of them is %s", text, s)
			}
			seen[text] = true
		}
		if name, ok := s.Database(); ok && (s.Place() != name || subject.LogicalOf(name).Key() != name) {
			t.Errorf("the place of %s is %q, the key of its dumps %q", s, s.Place(), subject.LogicalOf(name).Key())
		} else if !ok && s != subject.Database("") && !strings.Contains(s.Place(), "\x00") {
			t.Errorf("the place of %s could be a database's: %q", s, s.Place())
		}
	}
}
