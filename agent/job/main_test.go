package job

import (
	"fmt"
	"os"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/state"
)

// In a child process the test binary replaces a database instead of testing.
const childVariable = "PGHARBOR_TEST_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		if err := childTask(task, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	postgrestest.Main(m)
}

func childTask(task, dir string) error {
	folder, err := state.Open(dir)
	if err != nil {
		return err
	}
	if task != "replace" {
		return fmt.Errorf("no task %q", task)
	}
	return replaceUntilKilled(folder)
}
