package random_test

import (
	"regexp"
	"testing"

	"github.com/pgharbor/pgharbor/internal/random"
)

func TestIDsAreSixteenPlainCharactersAndDiffer(t *testing.T) {
	form, seen := regexp.MustCompile(`^[a-z2-7]{16}$`), map[string]bool{}
	for range 1000 {
		id := random.ID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
