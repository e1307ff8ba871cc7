package server_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Whatever a control plane starts has ended when its Run returns. With
// serveVariable the program is one itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serveVariable); dir != "" {
		os.Exit(served(dir))
	}
	goleak.VerifyTestMain(m)
}
