package session

import "sync"

// Notifications wake those who wait for a change in the catalog, like LISTEN and NOTIFY in PostgreSQL.
// A notification carries no data: its listener reads the catalog. Notify never blocks, and several
// notifications before the listener looks are one.
//
// The functions below make the names of the channels.
type Notifications struct {
	mu        sync.Mutex
	listeners map[string]map[chan struct{}]struct{}
}

// AgentChannel is notified when a job is due for an instance's agent.
func AgentChannel(instance string) string { return "agent/" + instance }

// JobChannel is notified when a job has changed.
func JobChannel(id string) string { return "job/" + id }

// CallerChannel is notified when what a caller may do has changed.
func CallerChannel(caller string) string { return "caller/" + caller }

// Listen returns a Go channel that holds one token after the named channel was notified, and a
// function that stops listening.
func (n *Notifications) Listen(channel string) (<-chan struct{}, func()) {
	listener := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]map[chan struct{}]struct{}{}
	}
	if n.listeners[channel] == nil {
		n.listeners[channel] = map[chan struct{}]struct{}{}
	}
	n.listeners[channel][listener] = struct{}{}
	return listener, func() { n.remove(channel, listener) }
}

func (n *Notifications) remove(channel string, listener chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listeners[channel], listener)
	if len(n.listeners[channel]) == 0 {
		delete(n.listeners, channel)
	}
}

// Notify wakes every listener of a channel.
func (n *Notifications) Notify(channel string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for listener := range n.listeners[channel] {
		select {
		case listener <- struct{}{}:
		default: // it has not looked at the last notification yet
		}
	}
}
