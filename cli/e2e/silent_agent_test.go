package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
)

// An agent that is killed, stopped, cut off, or can't start for want of its
// passphrase says nothing, and that is what is said of it.
func TestSilentAgentsAreAlarmed(t *testing.T) {
	f := newQuietFleet(t)

	t.Log("cut off")
	f.line.cut()
	f.alarms("SILENT", "shop", "not been heard of")
	f.says("can't be reached") // on its own host
	f.line.mend()
	f.mended()

	t.Log("stopped")
	f.signal(syscall.SIGSTOP)
	f.alarms("SILENT", "shop", "not been heard of")
	f.signal(syscall.SIGCONT)
	f.mended()

	t.Log("killed")
	f.signal(syscall.SIGKILL)
	_ = f.agent.Wait()
	f.alarms("SILENT", "shop", "not been heard of")

	t.Log("its passphrase is gone, and so it does not start")
	f.remove(filepath.Join("secrets", "passphrase"))
	f.startAgent()
	if err := f.agent.Wait(); err == nil {
		t.Error("the agent runs without the passphrase that it was told to use")
	}
	f.alarms("SILENT", "shop", "not been heard of")
}
