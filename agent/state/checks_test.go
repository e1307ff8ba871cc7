package state

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func checkedID(n int) string { return fmt.Sprintf("backup%010d", n) }

func TestChecksAreKeptAndForgotten(t *testing.T) {
	folder := openFolder(t, t.TempDir())
	for n := range 3 {
		if err := folder.Checks.Update(checkedID(n), func(c *CheckState) { c.ScrubbedAt, c.Damage = today, fmt.Sprint(n) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(folder.Checks.dir+"/"+checkedID(1)+".json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := folder.Checks.Forget(checkedID(2)); err != nil {
		t.Fatal(err)
	}
	all, err := openFolder(t, folder.Dir()).Checks.All()
	if diff := cmp.Diff(map[string]CheckState{checkedID(0): {ScrubbedAt: today, Damage: "0"}}, all); diff != "" || err == nil {
		t.Errorf("(-want +got):\n%s\nerror %v", diff, err)
	}
	if err := folder.Checks.Update("../outside", func(*CheckState) {}); err == nil {
		t.Error("an id may leave the folder")
	}
}
