package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/dump"
)

func TestNeededRoles(t *testing.T) {
	script := dump.SplitScript([]byte(`CREATE ROLE app; CREATE ROLE login; CREATE ROLE "big group"; CREATE ROLE above; CREATE ROLE stranger; CREATE ROLE sub;
		CREATE ROLE pgharbor_restore_x; CREATE ROLE pgharbor_restore_y; GRANT "big group" TO app GRANTED BY postgres; GRANT above TO "big group" WITH ADMIN OPTION;
		GRANT app TO login; GRANT login TO sub; GRANT pgharbor_restore_x TO app; GRANT app TO above; GRANT stranger TO sub;`))
	needed, members := neededRoles(script, []string{"app", "gone", "pgharbor_restore_y"})
	if diff := cmp.Diff([]string{"app", "big group", "above"}, needed); diff != "" {
		t.Errorf("needed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"login", "sub"}, members); diff != "" {
		t.Errorf("members of these (-want +got):\n%s", diff)
	}
}
