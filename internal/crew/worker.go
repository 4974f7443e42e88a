package crew

import (
	"context"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
)

// worker is what one goroutine of the crew keeps.
type worker[K, T any] struct {
	n      int        // the number of its task, in the order of taking
	item   Item[K, T] // the key of its task; the rest when that has ended
	permit *permit    // that its task holds in a limiter

	started bool // it has made its first step
	busy    bool // its task has not returned
	failed  bool // its task has stopped the run: it has to cancel
	discard bool // nobody reads the value of its task

	caught *recovered // how its task has ended without returning
	panics bool       // by a panic, not by runtime.Goexit
}

// serve is what a goroutine of the crew runs: task after task, until there is
// none. A task that panics or calls runtime.Goexit is the last on its goroutine,
// which it may have left locked to its thread.
func (c *Crew[K, T]) serve() {
	var w worker[K, T]
	defer func() {
		if w.busy {
			c.broken(&w)
		}
	}()
	if c.labels {
		pprof.SetGoroutineLabels(c.ctx)
	}
	c.runTasks(&w)
	w.panics = true // if it is busy: runtime.Goexit does not come back here
}

// runTasks runs tasks until there is none, or one panics or calls
// runtime.Goexit. One deferred call guards them all.
func (c *Crew[K, T]) runTasks(w *worker[K, T]) {
	defer func() {
		if w.busy {
			w.caught = &recovered{value: recover(), stack: debug.Stack()}
		}
	}()
	for {
		var task Task[T]
		var ok bool
		if c.slots == nil {
			task, ok = c.step(w)
		} else {
			task, ok = c.stepSlots(w)
		}
		if !ok {
			return
		}
		w.busy = true
		if w.permit != nil || trace.IsEnabled() {
			w.item.Value, w.item.Err = c.runSpecial(w, task)
		} else {
			w.item.Value, w.item.Err = task(c.ctx)
		}
		w.busy = false
	}
}

// runSpecial runs a task that finds its permit in its context, or that an
// execution trace shows.
func (c *Crew[K, T]) runSpecial(w *worker[K, T], task Task[T]) (T, error) {
	ctx := c.ctx
	if trace.IsEnabled() {
		ctx = c.traced.begin(ctx, c.config.Name)
		defer trace.StartRegion(ctx, "await.task").End()
		trace.Logf(ctx, "task", "%d", w.n)
	}
	if w.permit != nil {
		ctx = context.WithValue(ctx, permitKey{c.config.Limiter}, w.permit)
	}
	return task(ctx)
}

// broken deals with a task that has not returned. Its worker leaves, and
// another one goes on in its place.
func (c *Crew[K, T]) broken(w *worker[K, T]) {
	w.caught.key = w.item.Key
	if c.slots != nil {
		w.caught.key = w.n
	}
	raise := false
	switch {
	case !w.panics && w.caught.value == nil: // else it has panicked on its way out, which does not stop the exit
		w.item.Err = c.config.Errors.Goexit
	case c.config.Recover:
		w.item.Err = w.caught.err(c.config.Errors)
	default:
		c.report(w.caught)
		raise = true
	}
	if c.slots != nil {
		c.brokenSlot(w)
		return
	}
	c.mu.Lock()
	if raise {
		c.taskEnded(w)
		if !c.deserted { // else it has another result
			c.unread--
		}
	} else {
		c.put(w)
	}
	c.mu.Unlock()
	c.followUp(w)
	c.mu.Lock()
	c.leave()
	launch := c.addWorker()
	c.mu.Unlock()
	if launch {
		spawn(c.body)
	}
}
