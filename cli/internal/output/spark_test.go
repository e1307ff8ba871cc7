package output_test

import (
	"math"
	"testing"

	"github.com/pgharbor/pgharbor/cli/internal/output"
)

func TestSpark(t *testing.T) {
	for _, tt := range []struct {
		values []int64
		want   string
	}{
		{nil, ""},
		{[]int64{5}, ""},
		{[]int64{0, 0}, "▁▁"},
		{[]int64{1, 2, 4, 8}, "▂▃▅█"},
		{[]int64{100, 100, 100, 1}, "███▁"},
		{[]int64{-1, math.MaxInt64}, "▁█"},
		{[]int64{9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "██████████████"},
	} {
		if got := output.Spark(tt.values); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.values, got, tt.want)
		}
	}
}
