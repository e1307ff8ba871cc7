package state

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// In a child process the test binary does one of these instead of testing.
const childVariable = "PGHARBOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		if err := childTask(task, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childTask(task, dir string) error {
	folder, err := Open(dir)
	if err != nil {
		return err
	}
	switch task {
	case "append":
		for n := range 50 {
			if err := folder.Journal.Append(resultOf(fmt.Sprintf("child%d", n))); err != nil {
				return err
			}
		}
		return nil
	case "begin":
		if _, err := folder.Records.Begin(Record{ID: "run1", Run: &Run{ID: "run1", Database: "shop"}}); err != nil {
			return err
		}
		fmt.Println("begun")
		_, err := bufio.NewReader(os.Stdin).ReadByte() // until it is killed
		return err
	default:
		return fmt.Errorf("no task %q", task)
	}
}

func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, dir)
	cmd.Env = append(os.Environ(), childVariable+"="+task)
	cmd.Stderr = os.Stderr
	return cmd
}

func resultOf(job string) Entry {
	return ResultEntry(Result{JobID: job, State: StateSucceeded, FinishedAt: time.Unix(1, 0).UTC()})
}

func openFolder(t *testing.T, dir string) *Folder {
	t.Helper()
	folder, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func pending(t *testing.T, j *Journal) []string {
	t.Helper()
	ids, err := j.Pending()
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestJournalKeepsEntriesInOrderUntilAcknowledged(t *testing.T) {
	dir := t.TempDir()
	journal := openFolder(t, dir).Journal
	for _, job := range []string{"c", "a", "b", "a"} { // the second a is the same news again
		if err := journal.Append(resultOf(job)); err != nil {
			t.Fatal(err)
		}
	}
	journal = openFolder(t, dir).Journal // as after a restart
	if diff := cmp.Diff([]string{"job-c", "job-a", "job-b"}, pending(t, journal)); diff != "" {
		t.Fatalf("after a restart (-want +got):\n%s", diff)
	}
	entry, err := journal.Read("job-a")
	if diff := cmp.Diff(resultOf("a"), entry); diff != "" || err != nil {
		t.Errorf("read: %v (-want +got):\n%s", err, diff)
	}
	for range 2 { // an acknowledgement may come twice
		if err := journal.Ack("job-a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := journal.Read("job-a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading what was acknowledged: %v", err)
	}
	if diff := cmp.Diff([]string{"job-c", "job-b"}, pending(t, openFolder(t, dir).Journal)); diff != "" {
		t.Errorf("after an acknowledgement (-want +got):\n%s", diff)
	}
}

func TestJournalIsSharedBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	journal := openFolder(t, dir).Journal
	cmd := child(t, "append", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var appending sync.WaitGroup
	for g := range 2 {
		appending.Go(func() {
			for n := range 25 {
				if err := journal.Append(resultOf(fmt.Sprintf("own%d-%d", g, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appending.Wait()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if ids := pending(t, journal); len(ids) != 100 {
		t.Errorf("%d entries of 100: %v", len(ids), ids)
	}
	files, err := journal.list()
	if err != nil {
		t.Fatal(err)
	}
	for n, name := range files {
		if sequence, _, _ := splitEntryName(name); sequence != uint64(n+1) {
			t.Errorf("entry %d is %s: a number was used twice or left out", n+1, name)
		}
	}
}

func TestJournalSurvivesAKilledAppend(t *testing.T) {
	dir := t.TempDir()
	journal := openFolder(t, dir).Journal
	if err := journal.Append(resultOf("a")); err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(dir, "journal", ".0000000000000002-job-b.json"+temporarySuffix)
	if err := os.WriteFile(torn, []byte(`{"id":"jo`), 0o600); err != nil {
		t.Fatal(err)
	}
	journal = openFolder(t, dir).Journal
	if diff := cmp.Diff([]string{"job-a"}, pending(t, journal)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(torn); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the torn file is still there: %v", err)
	}
}

func TestJournalRefusesIDsThatLeaveItsFolder(t *testing.T) {
	journal := openFolder(t, t.TempDir()).Journal
	for _, id := range []string{"", "../x", "a/b", "a\x00b", ".lock", strings.Repeat("x", 200)} {
		if err := journal.Append(Entry{ID: id}); err == nil {
			t.Errorf("id %q was journaled", id)
		}
	}
}

func TestRecordsTellTheDeadFromTheLiving(t *testing.T) {
	dir := t.TempDir()
	folder := openFolder(t, dir)
	cmd := child(t, "begin", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "begun\n" {
		t.Fatalf("the child said %q: %v", line, err)
	}
	if works, err := folder.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Fatalf("a living process's work was taken for abandoned: %v, %v", works, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	works, err := folder.Records.Abandoned()
	if len(works) != 1 || err != nil || works[0].Run == nil || works[0].Run.Database != "shop" {
		t.Fatalf("a killed process's work: %v, %v", works, err)
	}
	if err := works[0].Finish(resultOf("x")); err != nil {
		t.Fatal(err)
	}
	if works, err := folder.Records.Abandoned(); len(works) != 0 || err != nil {
		t.Errorf("finished work came back: %v, %v", works, err)
	}
	if diff := cmp.Diff([]string{"job-x"}, pending(t, folder.Journal)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestStateIsOneAgents(t *testing.T) {
	dir := t.TempDir()
	release, err := openFolder(t, dir).Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(t, dir).Lock(); !errors.Is(err, ErrRunning) {
		t.Errorf("a second agent: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(t, dir).Lock(); err != nil {
		t.Errorf("after the first has gone: %v", err)
	}
}
