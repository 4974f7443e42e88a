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
	failed  bool // its task has failed the run: it has to cancel
	discard bool // nobody reads the value of its task

	exit
}

// exit is what a worker keeps for the case that its task does not return.
type exit struct {
	busy   bool       // the task has not returned
	caught *recovered // how it has ended
	panics bool       // by a panic, not by runtime.Goexit
}

// catch is deferred around the tasks of a worker.
func (e *exit) catch() {
	if e.busy {
		e.caught = &recovered{value: recover(), stack: debug.Stack()} //nolint:revive // it is deferred
	}
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
	defer w.catch()
	for {
		task, ok := c.step(w)
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
		var region *trace.Region
		ctx, region = c.traceTask(w.n)
		defer region.End()
	}
	if w.permit != nil {
		ctx = context.WithValue(ctx, permitKey{c.config.Limiter}, w.permit)
	}
	return task(ctx)
}

// broken deals with a task that has not returned. Its worker leaves, and
// another one goes on in its place.
func (c *Crew[K, T]) broken(w *worker[K, T]) {
	w.item.Err = c.exited(&w.exit, w.item.Key)
	c.mu.Lock()
	if w.item.Err == nil {
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

// exited returns the error of a task that has not returned. If the call raises
// its panic, that is reported, and there is no error.
func (r *run) exited(e *exit, key any) error {
	e.caught.key = key
	switch {
	case !e.panics && e.caught.value == nil: // else it has panicked on its way out, which does not stop the exit
		return r.config.Errors.Goexit
	case r.config.Recover:
		return e.caught.err(r.config.Errors)
	}
	r.report(e.caught)
	return nil
}
