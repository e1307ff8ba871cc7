package fleet_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func TestNewScope(t *testing.T) {
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("db%d", i)
	}
	for _, tt := range []struct {
		globs []string
		want  fleet.Scope
		cause error
	}{
		{nil, nil, nil},
		{[]string{"prod-*"}, fleet.Scope{"prod-*"}, nil},
		{[]string{"b", "a*", "b"}, fleet.Scope{"a*", "b"}, nil},
		{[]string{"a", "*"}, nil, nil},
		{[]string{"**"}, nil, nil},
		{[]string{"?*"}, fleet.Scope{"?*"}, nil},
		{many[:32], slices.Sorted(slices.Values(many[:32])), nil},
		{many, nil, fleet.ErrInvalid},
		{[]string{""}, nil, fleet.ErrInvalid},
		{[]string{"a", ""}, nil, fleet.ErrInvalid},
		{[]string{"*", "[a]"}, nil, fleet.ErrInvalid}, // none that is wrong becomes the whole fleet
		{[]string{"prod-[12]"}, nil, fleet.ErrInvalid},
		{[]string{"Prod"}, nil, fleet.ErrInvalid},
		{[]string{"a,b"}, nil, fleet.ErrInvalid},
		{[]string{"a b"}, nil, fleet.ErrInvalid},
		{[]string{"a\x00"}, nil, fleet.ErrInvalid},
	} {
		got, err := fleet.NewScope(tt.globs...)
		if !slices.Equal(got, tt.want) || !errors.Is(err, tt.cause) {
			t.Errorf("%q: %q, %v", tt.globs, got, err)
		}
	}
}

func TestCheckDevice(t *testing.T) {
	for name, good := range map[string]bool{
		"": true, "laptop": true, "Anna's laptop, Büro": true, "0123456789012345678901234567890123456789012345678901234567890123": true,
		"01234567890123456789012345678901234567890123456789012345678901234": false, "a\nb": false, "a\x1b[2J": false, "\xff": false, "a\u202eb": false,
	} {
		if err := fleet.CheckDevice(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
