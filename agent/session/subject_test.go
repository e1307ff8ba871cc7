package session_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"
)

func TestAControlPlaneIsToldWhatABackupIsOf(t *testing.T) {
	for name, test := range map[string]struct {
		added     string // to the manifest, which is one of before there were kinds
		kind      string
		dependsOn []string
	}{
		"a dump of before": {"", "logical", nil},
		"a newer kind":     {`"kind":"base","subject":"database","depends_on":["backup0000000000"],`, "base", []string{"backup0000000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			harbor, conn := openHarbor(t)
			work := newRunner(t)
			storeFile(t, work, "backup0000000001", []byte("backup0000000001"))
			manifest := pathOf(t, work) + ".manifest.json"
			content, err := os.ReadFile(manifest)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(manifest, bytes.Replace(content, []byte("{"), []byte("{"+test.added), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			connect(t, conn, work)
			p, _ := harbor.next(t, time.Minute)
			got := inventoryOf(p)
			if got.GetKind() != test.kind || got.GetSubject() != "database" || got.GetDatabase() != "shop" || !slices.Equal(got.GetDependsOn(), test.dependsOn) {
				t.Errorf("it is told as %v", got)
			}
		})
	}
}
