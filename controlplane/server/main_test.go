package server_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a control plane starts has ended when its Run returns.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
