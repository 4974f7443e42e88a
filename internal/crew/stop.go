package crew

import (
	"runtime/debug"
	"slices"
)

// Stop is that of Run.
func (c *Crew[K, T]) Stop() {
	defer c.raise() // also if a function of OnDiscard calls runtime.Goexit
	unwatched := c.unwatch != nil && c.config.OnCancel == nil && c.unwatch()
	c.mu.Lock()
	if unwatched {
		c.watching = false
	}
	c.left = true
	cause := c.endCause()
	c.mu.Unlock()
	c.cancel(cause)

	c.mu.Lock()
	c.work.Broadcast()
	c.endFeeder()
	for c.outstanding() {
		c.awaitNews()
	}
	unread := c.end()
	c.mu.Unlock()

	c.traced.end(c.ctx, c.config.Name)
	if c.config.OnDiscard != nil {
		c.discardAll(unread)
	}
	if c.late != nil && c.panics == nil {
		c.bodyFirst(recover())
	}
}

// outstanding reports whether something of the run is to be waited for.
func (c *Crew[K, T]) outstanding() bool {
	assertLocked(c.mu)
	pulling := c.feeder != nil && c.feeder.pulling
	if c.config.Detach {
		// A sequence that makes a step is left behind, as a running task is.
		// One that waits for a place only has to clean up.
		return c.watching || pulling && !c.feeder.inStep
	}
	return c.watching || pulling || c.workers > 0
}

// end closes the run, and returns the results that nobody has read.
func (c *Crew[K, T]) end() (unread []Item[K, T]) {
	assertLocked(c.mu)
	c.gone, c.deserted = true, true
	if c.config.OnDiscard != nil || c.queue != nil {
		if c.window != nil {
			unread = c.window.rest()
		} else {
			unread = c.buffer.unread()
		}
	}
	// What Detach leaves behind may keep the run for long, and no result in it.
	c.buffer, c.window = buffer[Item[K, T]]{}, nil
	if c.queue != nil {
		c.queue.run = nil
		if !c.config.Detach {
			c.queue.kept = unread // for its next loop
			return nil
		}
	}
	return unread
}

// discardAll gives the values that have not reached the caller to the functions
// of OnDiscard, in the order in which they came.
func (c *Crew[K, T]) discardAll(unread []Item[K, T]) {
	var values []T
	if c.collected != nil && (c.panics != nil || c.late != nil) {
		values = *c.collected // which the call does not return
	}
	c.collected = nil // what Detach leaves behind may keep the run for long
	for _, item := range unread {
		if item.Err == nil {
			values = append(values, item.Value)
		}
	}
	var calls []func()
	for _, value := range values {
		for _, f := range c.config.OnDiscard {
			calls = append(calls, func() { f.(func(T))(value) })
		}
	}
	c.callAll(OfOnDiscard, calls)
}

// discardLate gives a value that came late to the functions of OnDiscard, on
// the goroutine of its task. All are called, even if one panics or calls
// runtime.Goexit; a panic is raised by the loop if that has not ended, and else
// crashes the program.
func (c *Crew[K, T]) discardLate(value T) {
	defer func() {
		if v := recover(); v != nil {
			c.report(&recovered{of: OfOnDiscard, value: v, stack: debug.Stack()})
		}
	}()
	for _, f := range slices.Backward(c.config.OnDiscard) {
		defer f.(func(T))(value) //nolint:gocritic,revive // they are few
	}
}
