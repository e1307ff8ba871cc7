package job

import (
	"sort"
	"sync"
)

// Keys of warnings. That of a displaced database ends with its restore's id.
const (
	warnJournal   = "journal"
	warnInventory = "inventory"
	warnImport    = "adoption"
	warnPurge     = "purge"
	warnClock     = "clock"
	warnSkew      = "skew"
	warnScrub     = "scrub"
	warnChecks    = "checks"
	warnAuditLog  = "trail"
	warnVerify    = "verify"
	warnPolicy    = "policy"
	warnKeys      = "keys"
	warnDisplaced = "kept-"
)

// warnings are what an operator should know for now, a sentence a key. It is safe
// for concurrent use.
type warnings struct {
	mu    sync.Mutex
	byKey map[string]string
}

// set keeps a warning until it is set to "", and reports whether it is new.
func (w *warnings) set(key, text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey[key] == text {
		return false
	}
	if text == "" {
		delete(w.byKey, key)
	} else {
		w.byKey[key] = text
	}
	return true
}

// of returns one warning, or "".
func (w *warnings) of(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byKey[key]
}

// texts leaves out what the status says in a field of its own.
func (w *warnings) texts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for key, text := range w.byKey {
		if key != warnPurge && key != warnClock && key != warnKeys {
			texts = append(texts, text)
		}
	}
	sort.Strings(texts)
	return texts
}
