package job

import (
	"fmt"
	"strings"
)

// What is told of one restore goes to the control plane, which takes no more than one such list.
const (
	maxWarnings = 50
	maxWarning  = 1000 // bytes of one
)

// lacks collects what somebody should know of work that succeeded, within bounds.
type lacks struct {
	first []string
	more  int
}

func (w *lacks) add(text string) {
	if len(w.first) == maxWarnings-1 {
		w.more++
		return
	}
	if len(text) > maxWarning {
		text = strings.ToValidUTF8(text[:maxWarning], "") + " …"
	}
	w.first = append(w.first, text)
}

// texts has a number for those that are too many.
func (w *lacks) texts() []string {
	if w.more == 0 {
		return w.first
	}
	return append(w.first[:len(w.first):len(w.first)], fmt.Sprintf("and %d warnings more, in the log of the agent", w.more))
}
