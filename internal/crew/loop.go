package crew

import (
	"maps"
	"slices"
)

// Next is that of Run.
func (c *Crew[K, T]) Next() (item Item[K, T], ok bool) {
	if !c.locked && c.window == nil && !c.panicked.Load() {
		if item, ok = c.buffer.read(); ok {
			return item, true
		}
	}
	return c.next()
}

// next is Next under the lock.
func (c *Crew[K, T]) next() (item Item[K, T], ok bool) {
	c.mu.Lock()
	for c.panics == nil {
		if item, ok = c.read(); ok {
			c.unread--
			break
		}
		if c.config.Detach && !c.deserted && c.ended() {
			c.mu.Unlock()
			err := c.config.Errors.LeftBehind(c.cause())
			c.mu.Lock()
			c.desert(err)
			continue
		}
		if more := c.source.more(); c.quiet() && (!more || c.ended()) {
			if more {
				if item.Key, ok = c.source.drop(); ok {
					c.mu.Unlock()
					item.Err = c.unstarted()
					return item, true
				}
			}
			c.left = true // what a queue gets from now on is for its next loop
			break
		}
		c.awaitNews()
	}
	launch := ok && c.addWorker()
	c.tellFeeder()
	c.mu.Unlock()
	if launch {
		spawn(c.body)
	}
	return item, ok
}

// read takes a result that is there.
func (c *Crew[K, T]) read() (item Item[K, T], ok bool) {
	assertLocked(c.mu)
	if c.window != nil {
		return c.window.read()
	}
	if item, ok = c.buffer.read(); !ok {
		c.buffer.refill()
		item, ok = c.buffer.read()
	}
	return item, ok
}

// quiet reports whether nothing runs that the loop waits for.
func (c *Crew[K, T]) quiet() bool {
	return c.deserted || c.running == 0 && (c.feeder == nil || !c.feeder.pulling)
}

// desert lets no result through anymore. Each task that still runs has err for
// its error, in the order in which they started.
func (c *Crew[K, T]) desert(err error) {
	assertLocked(c.mu)
	c.deserted = true
	for _, n := range slices.Sorted(maps.Keys(c.inFlight)) {
		c.store(n, Item[K, T]{Key: c.inFlight[n], Err: err})
	}
	c.inFlight = nil
}
