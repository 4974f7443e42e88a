// Package crew is the engine of await. Tasks flow from a source, through a
// crew of goroutines, into a sink, and the loop reads the sink:
//
//	source --claim--> workers --put--> sink --> loop
//
// A source hands out the tasks and a sink keeps the results; both are a few
// lines. The crew between them, which starts goroutines, cancels and notices
// the end, exists once.
//
// Three rules hold everywhere in this package. A mutex is held only over code
// that cannot block, because a goroutine blocked on a mutex stops the clock of
// a testing/synctest bubble. Putting a result never blocks, so a crew always
// comes to its end, whoever has stopped reading. And what only some calls need
// (panics, Goexit, labels, traces, Detach) is in functions of its own: a new
// goroutine has a stack of 2 KB, and outgrowing it costs more than all the
// rest of a small task.
package crew

import (
	"context"
	"math"
	"runtime/pprof"
	"runtime/trace"
	"sync/atomic"
)

// A Task is work for one goroutine.
type Task[T any] = func(ctx context.Context) (T, error)

// A Source hands out tasks, each with its number in the order of the claims,
// from 0, and its key. Workers call it from several goroutines at once.
type Source[K, T any] interface {
	// Claim claims the next task; ok is false if there is none, and the
	// worker leaves. A source that may find more to do later calls Dismiss
	// for that worker, in one step with the look at what there is to do, so
	// that whoever brings more sees that a worker is missing, and notes it.
	Claim(turn *Turn) (n int, key K, task Task[T], ok bool)
	// More reports whether a worker might find a task at this moment. If not,
	// and turn is not nil, it does to the worker what Claim would do.
	More(turn *Turn) bool
	// Shut follows the end of the loop: no claim succeeds any more, and no
	// claim that cannot come to its end is waited for.
	Shut()
	// End follows the last Claim. With Detach, a sequence gets it twice, and
	// the first time tasks may still run.
	End()
}

// Turn is what a source notes about a worker that claims.
type Turn struct {
	dismissed bool   // live does not count this worker any more
	place     *place // which the task holds in a limiter, until its result is put
}

// A Sink keeps results.
type Sink[K, T any] interface {
	// Put keeps what task n returned. Workers call it from several
	// goroutines at once. It must not block.
	Put(n int, key K, value T, err error)
	// Close follows the last Put: no worker is left.
	Close()
	// Wait returns after Close.
	Wait()
}

// Unlimited is the Limit of a call that sets none, and Unset its Buffer.
const (
	Unlimited = math.MaxInt
	Unset     = -1
)

// Config is what the options of a call come to.
type Config struct {
	Limit   int      // tasks that run at once
	Buffer  int      // finished results that wait for the loop
	Name    string   // of the call in traces; if not empty, in profiles too
	Detach  bool     // the end cancels running tasks but does not wait for them
	Recover bool     // a task's panic is its error
	Limiter *Limiter // shared with other calls; nil if none
	Errors  *Errors

	OnCancel  []func()
	OnDiscard []any

	held int64 // what live counts beside workers
}

// Errors has the error values that reach tasks and loop. They belong to the
// package that the user imports.
type Errors struct {
	Goexit  error                               // of a task that called runtime.Goexit
	Stopped error                               // the cause, when the loop has ended
	Panic   func(value any, stack []byte) error // of a task that panicked
	NilTask func(n int) error                   // what a nil task out of a sequence panics with
}

// Crew is the goroutines that run the tasks of one call.
//
// The order of the fields keeps those that every task reads away from those
// that change while tasks run, so that workers on different cores do not take
// each other's cache lines.
type Crew[K, T any] struct {
	ctx    context.Context // of every task; a child of the caller's
	source Source[K, T]
	sink   Sink[K, T]
	config *Config

	// room has a token for every task that was claimed and whose result the
	// loop has not taken: a worker adds it before it claims, the loop takes
	// it out with the result. It is nil if no bound can be reached.
	room chan struct{}

	panics atomic.Pointer[fault] // the latest panic; workers add, the loop reads; at last nobody

	cancel context.CancelCauseFunc
	body   func()                 // serve, as a value made once, so that a launch allocates nothing
	traced atomic.Pointer[traced] // nil until a task is traced

	turns bool // the source needs a Turn of each worker

	// live counts the workers launched and not yet gone, and config.held.
	// Each takes itself off, or Dismiss does; whoever reaches 0 closes the
	// sink. The bit coming is part of it, so that both change in one step:
	// whoever hires a worker sets it, and the worker clears it when it begins.
	live atomic.Int64
}

// coming is a bit of live: a worker is on its way.
const coming = 1 << 62

// Init readies a crew that has not been used.
func (c *Crew[K, T]) Init(ctx context.Context, config *Config, source Source[K, T], sink Sink[K, T]) {
	c.source, c.sink, c.config = source, sink, config
	c.turns = c.turns || config.Limiter != nil
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if config.Name != "" {
		c.ctx = pprof.WithLabels(c.ctx, pprof.Labels("await", config.Name))
	}
	c.body = c.serve
}

// Start launches the first worker, which launches the second, and so on. If
// there is nothing to do, or the context has ended, it closes the sink.
func (c *Crew[K, T]) Start() {
	if c.ctx.Err() != nil || !c.source.More(nil) {
		c.sink.Close()
		return
	}
	c.live.Store(1)
	c.launch(c.body)
}

// launch is the one place that starts goroutines.
func (c *Crew[K, T]) launch(body func()) { go body() }

// Cancel ends the tasks' context and so lets no further task start.
func (c *Crew[K, T]) Cancel(cause error) { c.cancel(cause) }

// Cause tells why the tasks' context has ended; nil if it has not.
func (c *Crew[K, T]) Cause() error { return context.Cause(c.ctx) }

// Stop ends the run: it cancels what still runs and waits for it (with Detach
// it does not wait). If a task has panicked, Stop panics. The loop defers it,
// so that it also runs when the body panics or calls runtime.Goexit.
func (c *Crew[K, T]) Stop() {
	if !c.Panicked() { // else that is the cause, and its worker is about to tell
		c.cancel(c.config.Errors.Stopped)
	}
	c.source.Shut()
	c.sink.Wait()
	c.endTrace()
	if last := c.panics.Swap(&nobody); last != nil {
		c.raise(last)
	}
}

// Panicked reports whether a task has panicked, without Recover.
func (c *Crew[K, T]) Panicked() bool { return c.panics.Load() != nil }

// Took makes room for another task: the loop has taken a result.
func (c *Crew[K, T]) Took() {
	if c.room != nil {
		<-c.room
	}
}

// hand is what a worker has in hand.
type hand[K any] struct {
	turn  *Turn // nil if no source of this crew has anything to note
	n     int   // the task's number
	key   K
	busy  bool   // the task has begun and has not returned
	fault *fault // how the task ended, if it did not return
}

// serve is what a goroutine of the crew runs: task after task, until none is
// left or the context has ended.
func (c *Crew[K, T]) serve() {
	var h hand[K]
	c.live.And(^coming)
	if c.turns {
		h.turn = new(Turn) // not part of h, which is thus not allocated for lists
	}
	defer c.leave(&h)
	if c.config.Name != "" {
		pprof.SetGoroutineLabels(c.ctx)
	}
	for {
		c.shift(&h)
		if !h.busy {
			return
		}
		c.panicked(&h) // runtime.Goexit does not come back here
	}
}

// shift runs tasks until there is none to claim, or one panics or calls
// runtime.Goexit. One deferred call guards them all.
func (c *Crew[K, T]) shift(h *hand[K]) {
	defer func() {
		if h.busy {
			h.fault = caught(recover())
		}
	}()
	for c.ctx.Err() == nil && (c.room == nil || c.enter()) {
		n, key, task, ok := c.source.Claim(h.turn)
		if !ok {
			c.Took() // makes the room it has entered free again
			return
		}
		c.chain()
		h.n, h.key, h.busy = n, key, true
		var value T
		var err error
		if trace.IsEnabled() {
			value, err = c.trace(n, task)
		} else {
			value, err = task(c.ctx)
		}
		h.busy = false
		c.sink.Put(n, key, value, err)
		h.turn.leave()
	}
}

// chain sees to it that one more worker is on its way, if there is more to do
// and the limit allows. Every worker does so before every task: so a task that
// blocks never keeps the next one from starting, and short tasks share a few
// goroutines, because nobody is launched while somebody is coming.
func (c *Crew[K, T]) chain() {
	if c.vacant(c.live.Load()) && c.source.More(nil) {
		c.hire()
	}
}

// hire launches a worker, unless one is on its way or the limit is reached. It
// does not block.
func (c *Crew[K, T]) hire() {
	for live := c.live.Load(); c.vacant(live); live = c.live.Load() {
		if c.live.CompareAndSwap(live, live+1+coming) {
			c.launch(c.body)
			return
		}
	}
}

// vacant reports whether the limit allows one more worker, and none is on its
// way.
func (c *Crew[K, T]) vacant(live int64) bool {
	return live&coming == 0 && live-c.config.held < int64(c.config.Limit)
}

// enter waits until one more result may wait for the loop; it reports false
// if the context has ended.
func (c *Crew[K, T]) enter() bool {
	select {
	case c.room <- struct{}{}:
		return c.ctx.Err() == nil // the loop may have made room and left since
	case <-c.ctx.Done():
		return false
	}
}

// leave is the end of a worker, by return or by runtime.Goexit.
func (c *Crew[K, T]) leave(h *hand[K]) {
	if h.busy {
		c.exited(h)
		return // another worker has taken this one's place
	}
	if (h.turn == nil || !h.turn.dismissed) && c.Dismiss() {
		c.Finish()
	}
}

// Dismiss counts one worker less. It reports whether that was the last, in
// which case Finish is to be called. It does not block: sources call it under
// a lock of their own.
func (c *Crew[K, T]) Dismiss() (last bool) { return c.live.Add(-1) == 0 }

// Finish ends the run: no worker is left.
func (c *Crew[K, T]) Finish() {
	defer c.sink.Close() // also if the source's cleanup calls runtime.Goexit
	c.source.End()
}
