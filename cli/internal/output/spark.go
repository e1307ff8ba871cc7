package output

import "slices"

// sparkWidth is how many of the last values a spark line shows.
const sparkWidth = 14

var sparkBars = []rune("▁▂▃▄▅▆▇█")

// Spark draws values as a line of bars, the last one at the right, each as high as its share of the largest; "" for
// fewer than two values.
func Spark(values []int64) string {
	if len(values) > sparkWidth {
		values = values[len(values)-sparkWidth:]
	}
	if len(values) < 2 {
		return ""
	}
	largest := max(slices.Max(values), 1)
	line := make([]rune, len(values))
	for i, value := range values {
		line[i] = sparkBars[int(float64(max(value, 0))/float64(largest)*float64(len(sparkBars)-1)+0.5)]
	}
	return string(line)
}
