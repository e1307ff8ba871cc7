package session

import "sync"

// Bells wake those who wait for a change in the catalog. A bell carries
// nothing: who hears it reads the catalog. Ringing never blocks, and any
// number of rings before the listener looks are one.
//
// The keys are those that the functions below make.
type Bells struct {
	mu        sync.Mutex
	listeners map[string]map[chan struct{}]struct{}
}

// AgentBell rings when a job is due for an instance's agent.
func AgentBell(instance string) string { return "agent/" + instance }

// JobBell rings when a job has changed.
func JobBell(id string) string { return "job/" + id }

// CallerBell rings when what a caller may do has changed.
func CallerBell(caller string) string { return "caller/" + caller }

// Listen returns a channel that holds one token after the key was rung, and a
// function that ends the listening.
func (b *Bells) Listen(key string) (<-chan struct{}, func()) {
	bell := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		b.listeners = map[string]map[chan struct{}]struct{}{}
	}
	if b.listeners[key] == nil {
		b.listeners[key] = map[chan struct{}]struct{}{}
	}
	b.listeners[key][bell] = struct{}{}
	return bell, func() { b.leave(key, bell) }
}

func (b *Bells) leave(key string, bell chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listeners[key], bell)
	if len(b.listeners[key]) == 0 {
		delete(b.listeners, key)
	}
}

// Ring wakes every listener of the key.
func (b *Bells) Ring(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for bell := range b.listeners[key] {
		select {
		case bell <- struct{}{}:
		default: // it has yet to look at the last ring
		}
	}
}
