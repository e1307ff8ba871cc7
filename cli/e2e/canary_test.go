package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A passphrase and a row are planted, and a whole cycle is run: backup, list,
// download, decryption, restore, errors, and dumps, restores and test restores that
// the server refuses with the row in its words. Neither is found in the control
// plane's memory, its files and logs, in the agent's state, in the arguments and
// the environment of any process, or in the traffic once TLS is taken off. A third
// word, which is meant to be told, is found in all of these: the search works. The
// agent's log and its history, which stay on its host, have the row and not the
// passphrase.
func TestCanaryIsFoundNowhere(t *testing.T) {
	passphrase, row, told := "passphrase-"+rand.Text(), "row-"+rand.Text(), "told-"+rand.Text()
	s := newSearch(map[string]string{"passphrase": passphrase, "row": row, "told": told})
	w := newWorld(t, programs(t))
	w.write("passphrase", passphrase+"\n")
	w.write("wrong", "not the "+passphrase+"\n")
	w.env = append(w.env, "BACKUP_ENCRYPT_PASSPHRASE=", "BACKUP_ENCRYPT_PASSPHRASE_FILE="+w.path("passphrase"))
	w.server.CreateDatabase(t, "shop")
	w.server.Exec(t, "shop", fmt.Sprintf("CREATE TABLE goods AS SELECT %s AS name, i FROM generate_series(1, 20000) AS i", "'"+row+"'"))

	w.brokenDump(w.server, row)

	host := loopback(t)
	traffic := listen(t, host+":7443", host+":7444", w.path("harbor"))
	watched := again(t, time.Millisecond, s.processes)
	w.harbor(host+":7444", host+":7443")
	controlPlane := pidOf(t, "pgharbor-controlplane", w.path("harbor"))
	remembered := again(t, 50*time.Millisecond, func() {
		if err := s.memory(controlPlane); err != nil {
			t.Error(err)
		}
	})
	w.cycle(told)
	w.refusals(row)
	watched()
	remembered()
	if err := s.memory(controlPlane); err != nil {
		t.Error(err)
	}
	for _, said := range traffic.heard() {
		s.look("traffic", said)
	}
	state, err := filepath.Glob(w.path("state", "*"))
	if err != nil || len(state) < 5 {
		t.Fatalf("the agent's state is %v, %v", state, err)
	}
	state = slices.DeleteFunc(state, func(path string) bool { return path == w.path("state", "history") })
	if err := s.files(append(state, w.path("harbor"), w.path("person"), w.path("backups"), w.path("pgharbor-controlplane.log"))...); err != nil {
		t.Error(err)
	}
	w.hostHasTheWords(passphrase, row)

	for _, secret := range []string{"passphrase", "row"} {
		if places := s.in(secret, ""); len(places) > 0 {
			t.Errorf("the %s is to be seen in: %s", secret, strings.Join(places, ", "))
		}
	}
	for _, kind := range []string{"cmdline", "environ", "memory", "traffic", "file"} {
		if len(s.in("told", kind)) == 0 {
			t.Errorf("what was told is not seen in %s: the search finds nothing there", kind)
		}
	}
}

// hostHasTheWords looks at what stays on the agent's host.
func (w *world) hostHasTheWords(passphrase, row string) {
	w.Helper()
	log, history := w.path("pgharbor-agent.log"), w.path("state", "history")
	s := newSearch(map[string]string{"passphrase": passphrase, "row": row})
	if err := s.files(log, history); err != nil {
		w.Error(err)
	}
	if places := s.in("passphrase", ""); len(places) > 0 {
		w.Errorf("the passphrase is to be seen in: %s", strings.Join(places, ", "))
	}
	if len(s.in("row", "file "+log)) == 0 || len(s.in("row", "file "+history)) == 0 {
		w.Error("the agent's log or its history does not have the server's words: nobody could mend what failed")
	}
}

// cycle is all that is done with a backup. The word is told as a reason, and in the environment of
// anyone who gives it.
func (w *world) cycle(told string) {
	w.Helper()
	w.run("pgharbor", "backup", "shop-db")
	var listed struct {
		Backups []struct {
			ID string `json:"id"`
		} `json:"backups"`
	}
	w.decode(&listed, "pgharbor", "list", "-o", "json")
	id := listed.Backups[0].ID
	w.run("pgharbor", "show", id)
	w.run("pgharbor", "download", id, "--output", w.path("sealed"))
	w.run("pgharbor", "download", id, "--decrypt", "--passphrase-file", w.path("passphrase"), "--output", w.path("opened.sql"))
	if err := w.command("pgharbor", "download", id, "--decrypt", "--passphrase-file", w.path("wrong"), "--output", w.path("other.sql")).Run(); err == nil {
		w.Error("a wrong passphrase opens the backup")
	}
	before := w.env
	w.env = append(w.env, "TOLD="+told)
	w.run("pgharbor", "restore", id, "--to-database", "again", "--confirm", "again", "--reason", told)
	w.env = before
	w.run("pgharbor", "audit", "list")
	w.run("pgharbor", "runs")
	w.run("pgharbor", "health")
	if rows := w.server.Value(w.T, "again", "SELECT count(*) FROM goods"); rows != "20000" {
		w.Errorf("%s rows are back", rows)
	}
	opened, err := os.ReadFile(w.path("opened.sql"))
	if err != nil || !strings.Contains(string(opened), "row-") {
		w.Errorf("the dump that was opened has no row, %v", err)
	}
}

func (w *world) write(name, content string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// pidOf finds a process by its program and a word of its arguments.
func pidOf(t *testing.T, program, word string) int {
	t.Helper()
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		arguments, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		if programOf(folder) == program && strings.Contains(string(arguments), word) {
			pid, err := strconv.Atoi(filepath.Base(folder))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no %s runs with %s", program, word)
	return 0
}

func TestFormsOfASecret(t *testing.T) {
	s := newSearch(map[string]string{"it": "a secret of some length"})
	for n, content := range []string{
		"a secret of some length", "YSBzZWNyZXQgb2Ygc29tZSBsZW5ndGg", "eGEgc2VjcmV0IG9mIHNvbWUgbGVuZ3RoeQ==",
		"eHhhIHNlY3JldCBvZiBzb21lIGxlbmd0aHl5", "eHh4YSBzZWNyZXQgb2Ygc29tZSBsZW5ndGh5", "6120736563726574206f6620736f6d65206c656e677468",
	} {
		place := fmt.Sprintf("place %d", n)
		s.look(place, []byte(content))
		if len(s.in("it", place)) != 1 {
			t.Errorf("it is not seen in %q", content)
		}
	}
	s.look("nowhere", []byte("another secret"))
	if places := s.in("it", "nowhere"); len(places) > 0 {
		t.Error("it is seen where it is not")
	}
}
