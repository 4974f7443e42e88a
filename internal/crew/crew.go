// Package crew is the engine of await. Tasks flow from a source through a crew
// of goroutines into a buffer, and the loop reads the buffer:
//
//	list / sequence / queue  --take-->  workers  --put-->  buffer in finish order, or window in input order  -->  loop
//	list                     --take-->  workers  --put-->  slots                                             -->  return
//
// One mutex guards a run: what the source has, who works and who rests, what
// waits to be read, and the end. A worker takes it once for each task: it puts
// the result of the task it has run, takes the next one, and decides whether
// another worker is needed. errgroup is forty lines because nobody reads before
// its end; here a loop reads while tasks run, may leave at any moment, and
// holds back what runs ahead of it. The buffer is not a Go channel, because a
// channel is a ring and a lock of its own: its send and receive alone take 423
// instructions (callgrind, room for all, one sender), and all that is done for a
// task here, from taking it to reading its result, takes 498.
//
// Most lists need less, and have a run of their own: see list. There a task takes
// 373 instructions, and 180 if nobody reads its result before the end.
//
// Rules that hold everywhere in this package:
//   - The lock is held only over code that cannot block and calls nothing of
//     the user's: a goroutine that is blocked on a mutex stops the clock of a
//     testing/synctest bubble. So goroutines are launched, and contexts
//     canceled, without the lock.
//   - What only some calls need (panics, Goexit, labels, traces, limiters) is in
//     functions of its own: a new goroutine has a stack of 2 KB, and outgrowing
//     it costs more than all the rest of a small task.
//   - A worker rests and leaves, a run stops, a task ends.
package crew

import (
	"context"
	"runtime"
)

// A Task is work for one goroutine.
type Task[T any] = func(ctx context.Context) (T, error)

// Item is the result of a task.
type Item[K, T any] struct {
	Key   K // for a list, the index
	Value T
	Err   error
}

// source has the tasks that can start. Its methods are called with the lock
// held.
type source[K, T any] interface {
	// more reports whether a task can be taken now.
	more() bool
	// take takes the next task. It is called only if there is one.
	take() (key K, task Task[T])
	// drop takes the next task of those that will never start, if its result
	// has to say so. It is called only if there is one.
	drop() (key K, ok bool)
}

// Crew is a run that the loop may hold back: the goroutines that run the tasks of
// one call, and what they share with the loop.
type Crew[K, T any] struct {
	run

	// The lock guards this too.
	taken    int  // tasks taken from the source
	running  int  // of those, not yet ended
	unread   int  // of those, not yet read by the loop; of use only if locked is set
	resting  int  // workers that wait for work
	starting bool // a worker was launched or woken, and has not looked around yet
	waiting  bool // a worker waits for its permit
	left     bool // the loop has ended, and nothing starts anymore
	deserted bool // results no longer reach the loop

	work cond // for the workers that rest

	buffer   buffer[Item[K, T]]
	window   *window[Item[K, T]] // in place of buffer, if results are read in input order
	inFlight map[int]K           // with Detach, the keys of the tasks that run, by number

	// Set before the run, and only read in it.
	source   source[K, T]
	feeder   *feeder[K, T] // of a sequence; else nil
	queue    *Queue[K, T]  // whose run this is; else nil
	most     int           // tasks taken and not yet read by the loop
	locked   bool          // the loop takes the lock for each result, because unread counts
	failFast bool          // the first error stops the run
	outer    *permit       // of the task that made the call, in the call's limiter; else nil
	unwatch  func() bool   // keeps contextEnded from being called; nil if it never is

	collected *[]T // values that reach the caller only if the call returns; the loop's own
}

// init readies a run of a source of n tasks, or Unlimited if that is not known.
func (c *Crew[K, T]) init(ctx context.Context, config *Config, source source[K, T], n int, inOrder bool) {
	c.run.init(ctx, config)
	c.work.L = c.mu
	c.source = source
	c.most = config.most(n)
	c.locked = c.most != Unlimited
	if config.Limiter != nil {
		c.outer, _ = ctx.Value(permitKey{config.Limiter}).(*permit)
	}
	if config.Detach {
		c.inFlight = make(map[int]K)
	}
	if inOrder {
		c.window = newWindow[Item[K, T]]()
	} else {
		c.buffer.init()
	}
	c.body = c.serve
}

// Start is that of Run.
func (c *Crew[K, T]) Start() {
	if c.config.Detach || c.config.OnCancel != nil {
		c.unwatch = c.watch(func() { // the loop may wait where nothing runs
			c.tellLoop()
			c.endFeeder()
		})
	}
	c.mu.Lock()
	feed := c.feeder != nil && !c.feeder.unwanted()
	if feed {
		c.feeder.pulling = true
	}
	launch := c.addWorker()
	c.mu.Unlock()
	if feed {
		spawn(c.feeder.feed)
	}
	if launch {
		spawn(c.body)
	}
}

// step puts the result of the task that w has run, if there is one, and takes
// the next. If there is none, w leaves.
func (c *Crew[K, T]) step(w *worker[K, T]) (task Task[T], ok bool) {
	c.askParent()
	c.mu.Lock()
	if !w.started {
		w.started = true
		c.starting = false
	} else if c.put(w) {
		c.mu.Unlock()
		c.followUp(w)
		c.mu.Lock()
	}
	task, ok = c.take(w)
	launch := ok && c.addWorker()
	c.mu.Unlock()
	if launch {
		// Before w runs its own task: so a task that blocks never keeps the
		// next one from starting, short tasks share a few goroutines, because
		// nobody is launched while a worker is starting, and the first result
		// does not wait for the launch of all the rest.
		spawn(c.body)
	}
	return task, ok
}

// put keeps the result of w for the loop. It reports whether w has to follow
// it up.
func (c *Crew[K, T]) put(w *worker[K, T]) (followUp bool) {
	c.taskEnded(w)
	switch {
	case c.deserted:
		w.discard = w.item.Err == nil && c.config.OnDiscard != nil
	case w.item.Err != nil && c.failFast:
		c.fail(w.n, w.item.Err)
		w.failed = true
		fallthrough
	default:
		c.store(w.n, w.item)
	}
	if !c.left && (c.window == nil || c.window.ready()) {
		c.tellLoop()
	}
	if !w.discard {
		w.item = Item[K, T]{} // a worker that runs its next task, or rests, keeps no result
	}
	return w.failed || w.discard || w.permit != nil
}

// taskEnded counts the end of the task of w.
func (c *Crew[K, T]) taskEnded(w *worker[K, T]) {
	assertLocked(c.mu)
	c.running--
	if c.inFlight != nil {
		delete(c.inFlight, w.n)
	}
	c.tellFeeder()
}

// store puts a result where the loop reads it.
func (c *Crew[K, T]) store(n int, item Item[K, T]) {
	assertLocked(c.mu)
	if c.window != nil {
		c.window.put(n, item)
	} else {
		c.buffer.put(item)
	}
}

// followUp does what follows a result and needs no lock. A failure must have
// canceled the others when the next one gets the permit.
func (c *Crew[K, T]) followUp(w *worker[K, T]) {
	if w.failed {
		c.cancel(c.failed)
	}
	if w.permit != nil {
		w.permit.release()
		w.permit = nil
	}
	if w.discard { // for the last time: the run has ended, so w leaves
		c.discardLate(w.item.Value)
	}
}

// take takes the next task for w, which may rest or wait for its permit first,
// without the lock. If there is none, w leaves.
func (c *Crew[K, T]) take(w *worker[K, T]) (task Task[T], ok bool) {
	assertLocked(c.mu)
	for !c.ended() {
		switch {
		case !c.open():
			if c.resting == mostResting || !c.mayOpen() {
				c.leave()
				return nil, false
			}
			c.rest()
		case c.feeder != nil && c.feeder.waiting && c.feeder.tellEarly():
			c.makeWay()
		case c.config.Limiter != nil && !c.acquire(w):
			c.leave()
			return nil, false
		default:
			w.n = c.taken
			w.item.Key, task = c.source.take()
			c.taken++
			c.running++
			c.unread++
			if c.inFlight != nil {
				c.inFlight[w.n] = w.item.Key
			}
			c.tellFeeder() // who waits if it has handed over as much as it may
			return task, true
		}
	}
	c.leave()
	return nil, false
}

// ended reports whether nothing starts anymore.
func (c *Crew[K, T]) ended() bool { return c.left || c.ctx.Err() != nil }

// open reports whether a worker can take a task now. One worker at a time waits
// for a permit.
func (c *Crew[K, T]) open() bool {
	return c.unread < c.most && !c.waiting && c.source.more()
}

// mayOpen reports whether that can still change, if it is not open.
func (c *Crew[K, T]) mayOpen() bool {
	return c.queue != nil || c.feeder != nil && c.feeder.pulling || c.source.more()
}

// addWorker sees to one more worker, if there is something to take and nobody
// is starting: it wakes the one that rests, or reports that the caller has to
// launch one, without the lock. Whoever brings a task or makes room calls it.
func (c *Crew[K, T]) addWorker() (launch bool) {
	assertLocked(c.mu)
	if c.starting || !c.open() {
		return false
	}
	if c.ended() {
		c.endFeeder()
		return false
	}
	if c.resting > 0 {
		c.resting--
		c.starting = true
		c.work.Signal()
		return false
	}
	if c.workers == c.config.Limit {
		return false
	}
	c.starting = true
	c.workers++
	return true
}

// mostResting is how many workers rest; others leave. With one, the worker that
// is launched beside it for several tasks, and comes too late for any, leaves
// each time, and is launched anew for the next few.
const mostResting = 2

// rest waits until addWorker or Stop wakes the worker. addWorker counts it down:
// by the time it goes on, another one may rest in its place.
func (c *Crew[K, T]) rest() {
	assertLocked(c.mu)
	c.resting++
	c.work.Wait()
	c.starting = false
	c.mu.Unlock()
	c.askParent()
	c.mu.Lock()
}

// makeWay lets the feeder run that the worker has just woken. The scheduler would
// run it next on this core, so not before the end of the worker's task, unless
// another core takes it over; that core first sleeps for 3 microseconds, which
// Linux makes some 60. The worker must have no task yet, because it goes to the
// end of the line of all that could run.
func (c *Crew[K, T]) makeWay() {
	c.feeder.makingWay++
	c.mu.Unlock()
	runtime.Gosched()
	c.askParent()
	c.mu.Lock()
	c.feeder.makingWay--
}

// acquire waits for a permit for w, without the lock. It reports false if the
// run has ended.
func (c *Crew[K, T]) acquire(w *worker[K, T]) bool {
	assertLocked(c.mu)
	c.waiting = true
	c.mu.Unlock()
	p := c.config.Limiter.acquire(c.ctx, c.outer)
	c.askParent()
	c.mu.Lock()
	c.waiting = false
	w.permit = p
	if p != nil && c.ended() {
		c.mu.Unlock()
		c.followUp(w)
		c.mu.Lock()
	}
	return w.permit != nil
}

// leave counts a worker that leaves.
func (c *Crew[K, T]) leave() {
	assertLocked(c.mu)
	c.workers--
	c.endFeeder()
	if c.workers == 0 || c.running == 0 && !c.left { // else somebody else will
		c.tellLoop()
	}
}

// tellFeeder wakes the feeder if it waits for what is now the case.
func (c *Crew[K, T]) tellFeeder() {
	if c.feeder != nil && c.feeder.waiting {
		c.feeder.tell()
	}
}

// endFeeder wakes the feeder if it waits and nothing starts anymore. It is called
// wherever a worker leaves, or is not launched for that reason: so no task that
// was handed over waits for a worker in vain, and the feeder for no place. (At the
// end of each task it would be simpler, but to ask the context there takes a
// twentieth of the time of a small one.)
func (c *Crew[K, T]) endFeeder() {
	if c.feeder != nil && c.feeder.waiting && c.ended() {
		c.feeder.wake()
	}
}
