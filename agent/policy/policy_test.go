package policy_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/policy"
)

// Without a word the host allows what a fleet needs day by day, and nothing that gives somebody more than they had.
func TestDefault(t *testing.T) {
	p := policy.Default()
	for _, kind := range []string{"backup", "restore", "preview", "undo", "send", "verify", "hold", "release"} {
		if !p.Allows(kind) {
			t.Errorf("%s is not allowed", kind)
		}
	}
	if p.Allows("shell") || !p.Replace || p.Unproven || p.SuperuserRoles || p.ReleaseHostHolds || p.Trusts("shop-db") || p.Trusts("") {
		t.Errorf("the default is %s", p)
	}
}

// What a file names is as it says, and the rest is as by default.
func TestParse(t *testing.T) {
	p, err := policy.Parse([]byte(`{"jobs": ["backup", "verify"], "replace": false, "restore_from": ["shop-*", "crm-db"], "release_host_holds": true}`))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Allows("backup") || p.Allows("restore") || p.Replace || p.Unproven || p.SuperuserRoles || !p.ReleaseHostHolds {
		t.Errorf("it is %s", p)
	}
	for instance, want := range map[string]bool{"shop-db": true, "crm-db": true, "crm-db2": false, "shop": false, "": false} {
		if p.Trusts(instance) != want {
			t.Errorf("%q is trusted: %t", instance, !want)
		}
	}
	if p, err := policy.Parse([]byte(`{}`)); err != nil || !reflect.DeepEqual(p, policy.Default()) {
		t.Errorf("of an empty one it is %s, %v", p, err)
	}
	if p, err := policy.Parse([]byte(`{"jobs": []}`)); err != nil || p.Allows("backup") {
		t.Errorf("without jobs it is %s, %v", p, err)
	}
}

// What could mean less than somebody wanted to deny is refused.
func TestPoliciesThatAreRefused(t *testing.T) {
	for content, says := range map[string]string{
		``:                                    "unexpected end",
		`null`:                                "no object",
		`[]`:                                  "no object",
		`{"jobs": null}`:                      `jobs: null is no value`,
		`{"jobs": [null]}`:                    `jobs: null is no value`,
		`{"jobs": ["verify", null]}`:          `jobs: null is no value`,
		`{"restore_from": [null]}`:            `restore_from: null is no value`,
		`{"replace": null}`:                   `replace: null is no value`,
		`{"JOBS": ["verify"]}`:                `unknown field "JOBS": it is written "jobs"`,
		`{"jobs": [], "Jobs": []}`:            `unknown field "Jobs"`,
		`{"jo\u0062s": [], "jobs": []}`:       `"jobs" is there twice`,
		`{"replace": false, "replace": true}`: `"replace" is there twice`,
		`{"jobs": ["verify"], "JOBS": ["restore"]}`:                  `unknown field "JOBS"`,
		`{"repace": false}`:                                          "unknown field",
		`{"jobs": ["bakup"]}`:                                        `"bakup" is none`,
		`{"jobs": "backup"}`:                                         "it is a list",
		`{"replace": "no"}`:                                          "it is true or false",
		`{"replace": false} {}`:                                      "after top-level value",
		`{"restore_from": ["shop-["]}`:                               "no glob",
		`{"restore_from": [""]}`:                                     "no glob",
		`{"restore_from": ["` + strings.Repeat("a", 129) + `"]}`:     "no glob",
		`{"restore_from": [` + strings.Repeat(`"a",`, 100) + `"a"]}`: "may have 100",
		`{"jobs": [` + strings.Repeat(`"backup",`, 8) + `"backup"]}`: "twice",
	} {
		if p, err := policy.Parse([]byte(content)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %s, %v", content, p, err)
		}
	}
}

// Only root and the agent's user may write to the file and where it is; whatever else is wrong with
// it, nothing is allowed.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent-policy.json")
	if p, err := (policy.File{Path: path, Optional: true}).Read(); err != nil || !reflect.DeepEqual(p, policy.Default()) {
		t.Errorf("without a file: %s, %v", p, err)
	}
	if p, err := (policy.File{Path: path}).Read(); !errors.Is(err, policy.ErrGone) || p.Allows("backup") {
		t.Errorf("without the file that was named: %s, %v", p, err)
	}
	if err := os.WriteFile(path, []byte(`{"replace": false}`), 0o644); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		p, err := (policy.File{Path: path, Optional: true}).Read()
		if err != nil && (p.Allows("backup") || p.Replace || !strings.Contains(err.Error(), path)) {
			t.Errorf("with %v it is %s", err, p)
		}
		return err
	}
	change := func(path string, mode fs.FileMode) {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(); err != nil {
		t.Error(err)
	}
	for _, mode := range []fs.FileMode{0o664, 0o646, 0o666} {
		change(path, mode)
		if err := read(); !errors.Is(err, policy.ErrNotOurs) {
			t.Errorf("with the mode %o: %v", mode, err)
		}
	}
	change(path, 0o644)
	change(dir, 0o777)
	if err := read(); !errors.Is(err, policy.ErrNotOurs) || !strings.Contains(err.Error(), "its folder: chown root "+dir+"; chmod go-w "+dir) {
		t.Errorf("in a folder that others may write to: %v", err)
	}
	change(dir, 0o777|fs.ModeSticky)
	if err := read(); err != nil {
		t.Errorf("in a folder like /tmp: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 1234, 1234); err != nil {
			t.Fatal(err)
		}
		if err := read(); !errors.Is(err, policy.ErrNotOurs) {
			t.Errorf("of another user: %v", err)
		}
		if err := os.Chown(path, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat(" ", 70<<10)+"{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil {
		t.Error("one that is too long is read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"jobs": ["backup"], "restore_from": ["shop-*"]}`))
	f.Add([]byte(`{"replace": null}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := policy.Parse(content)
		if err != nil {
			return
		}
		if p.Allows("shell") || p.Allows("") || len(p.RestoreFrom) > 100 || len(p.Jobs) > 8 {
			t.Errorf("%q allows %s", content, p)
		}
	})
}

// Anyone who writes the file knows JSON, and no Go.
func TestAWrongValueIsToldInWords(t *testing.T) {
	for content, want := range map[string]string{
		`{"jobs": "backup"}`:  `jobs: it is a list of words, such as ["backup", "verify"], and not a JSON string`,
		`{"jobs": [1]}`:       `jobs: it is a list of words, such as ["backup", "verify"], and not a JSON number`,
		`{"replace": "true"}`: "replace: it is true or false, and not a JSON string",
		`["backup"]`:          "it is no object of JSON, and not a JSON array",
	} {
		if _, err := policy.Parse([]byte(content)); err == nil || err.Error() != want {
			t.Errorf("%s: %v", content, err)
		}
	}
}
