package crew

import "sync"

// Gate is the half of a sink that waits, for sinks that nobody reads before
// the end. It is a WaitGroup, and not a channel to close, because a WaitGroup
// needs no allocation.
type Gate struct{ group sync.WaitGroup }

// Init readies the gate.
func (g *Gate) Init() { g.group.Add(1) }

// Close opens Wait's way.
func (g *Gate) Close() { g.group.Done() }

// Wait blocks until Close.
func (g *Gate) Wait() { g.group.Wait() }
