package session

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// LimitInventory lowers the bound on an inventory for one test, before its
// sessions begin.
func LimitInventory(tb testing.TB, bytes int) {
	before := maxInventory
	maxInventory = bytes
	tb.Cleanup(func() { maxInventory = before })
}

// HasBound reports whether a field is in the table, with a bound of its kind.
func HasBound(field protoreflect.FieldDescriptor) bool {
	b, found := bounds[field.FullName()]
	ours := field.Message() != nil && field.Message().FullName().Parent() != "google.protobuf"
	return found && field.IsList() == (b.most > 0) && ours == (b.check == nil)
}

// BoundFields are those that the table names.
func BoundFields() (names []protoreflect.FullName) {
	for name := range bounds {
		names = append(names, name)
	}
	return names
}
