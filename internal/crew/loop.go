package crew

import (
	"context"
	"maps"
	"slices"
)

// Next blocks until there is a result for the loop. ok is false when there are
// no more, or when there is a panic to raise; then Stop is to be called.
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
					return c.unstarted(item.Key), true
				}
			}
			c.stopped = true // what a queue gets from now on is for its next loop
			break
		}
		c.reading = true
		c.news.Wait()
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

// unstarted is the result of a task that never ran.
func (c *Crew[K, T]) unstarted(key K) Item[K, T] {
	if c.notStarted == nil {
		c.notStarted = c.config.Errors.NotStarted(c.cause())
	}
	return Item[K, T]{Key: key, Err: c.notStarted}
}

// cause returns why the context of the tasks has ended, and the error of the
// caller's context. If that has not ended, neither is seen: the call returns the
// error that has ended it, or panics. It is called without the lock, as
// askParent is.
func (c *Crew[K, T]) cause() (cause, err error) {
	return context.Cause(c.ctx), c.parent.Err()
}
