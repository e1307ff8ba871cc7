package scan

import (
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
