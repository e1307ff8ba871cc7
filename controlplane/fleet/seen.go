package fleet

import (
	"slices"
	"strings"
)

// Seen is a person as those who decided on their rights have seen them. What is decided of them
// takes effect for nobody else: they may be another by then, with rights or a device more.
type Seen struct {
	Person User
	// Approved: another person approved of it, for these devices.
	Approved bool
	Devices  []string // the ids of those that may log in as them
}

// Still refuses a change of a person who is another now.
func (s Seen) Still(now User, devices []string) error {
	if !s.Person.sameRights(now) {
		return NewProblem(ErrConflict, "the rights of %s have changed since this was decided", now.Name).
			WithHint("pgharbor users list shows them; then ask for it again")
	}
	if s.Approved && !sameWords(s.Devices, devices) {
		return NewProblem(ErrConflict, "the devices of %s have changed since this was approved: it was not for those that there are now", now.Name).
			WithHint("pgharbor users devices %s shows them; to ask for a new approval: the same command again", now.Name)
	}
	return nil
}

func (u User) sameRights(other User) bool {
	return u.Role == other.Role && u.RevokedAt.Equal(other.RevokedAt) && sameWords(u.Instances, other.Instances) &&
		sameWords(grantWords(u.Grants), grantWords(other.Grants))
}

func grantWords(grants []Grant) (words []string) {
	for _, g := range grants {
		words = append(words, g.String())
	}
	return words
}

// sameWords compares without regard to the order.
func sameWords(a, b []string) bool {
	return slices.Equal(slices.SortedFunc(slices.Values(a), strings.Compare), slices.SortedFunc(slices.Values(b), strings.Compare))
}
