package crew

import (
	"context"
	"runtime/pprof"
)

// Run is a run whose results a loop reads.
type Run[K, T any] interface {
	// Start begins the run.
	Start()
	// Next blocks until there is a result for the loop. ok is false when there
	// are no more, or when there is a panic to raise; then Stop is to be called.
	Next() (item Item[K, T], ok bool)
	// Stop ends the run: it cancels what still runs, waits for it (with Detach
	// it does not), and raises what has panicked. The loop defers it, so that it
	// also runs when the body panics or calls runtime.Goexit.
	Stop()
}

// run is what every run has, whatever becomes of its results. First comes what
// every worker reads for every task, last what every step changes, and Crew goes on
// with that: a worker pays for each cache line that another core has written.
type run struct {
	// Set before the run, and only read in it.
	config *Config
	parent context.Context // the caller's
	ctx    context.Context // of every task; a child of parent
	mu     *mutex          // the lock; a queue's is that of its runs
	cancel context.CancelCauseFunc
	body   func() // of a worker, as a value made once, so that a launch allocates nothing

	news   cond       // for the caller: a result, a panic, or the end of what it waits for
	failed error      // why the first error has stopped the run; set once, under the lock
	panics *panics    // of tasks and of the sequence; nil if there are none; under the lock
	late   *recovered // the first panic of a function of OnCancel or OnDiscard; contextEnded sets it, and Stop when that has ended

	traced     traced
	notStarted error      // of tasks that never ran; the caller's own
	panicked   atomicBool // there are panics: set under the lock, for the loop, which reads without it
	labels     bool       // workers set their profiler labels; set before the run

	// The lock guards what follows.
	own      mutex // the lock, if it is not a queue's
	workers  int   // launched, and have not left
	reading  bool  // the caller waits for news
	watching bool  // contextEnded is going to run, or does
	gone     bool  // the run has ended, and nobody will see a panic: with Detach
}

// init readies the run.
func (r *run) init(ctx context.Context, config *Config) {
	r.config, r.parent = config, ctx
	if r.mu == nil {
		r.mu = &r.own
	}
	r.news.L = r.mu
	r.ctx, r.cancel = withCancel(ctx)
	if config.Name != "" {
		r.labels = true
		r.ctx = pprof.WithLabels(r.ctx, pprof.Labels("await", config.Name))
	}
}

// askParent asks the caller's context whether it has ended, for contexts of
// foreign types, which may tell their children late, and passes that on. It
// is called without the lock: such a context is code of the user's.
func (r *run) askParent() {
	if r.parent.Err() != nil && r.ctx.Err() == nil {
		// Cause waits for a parent that is telling its children, whose lock it
		// takes. So a deadline's Err reaches the tasks as it is, and this does
		// not make it Canceled.
		r.cancel(context.Cause(r.parent))
	}
}

// fail notes that task n has failed, if it is the first one. The caller then
// cancels, without the lock, which stops the run.
func (r *run) fail(n int, err error) {
	assertLocked(r.mu)
	if r.failed == nil {
		r.failed = r.config.Errors.Failed(n, err)
	}
}

// awaitNews waits until tellLoop wakes the caller.
func (r *run) awaitNews() {
	assertLocked(r.mu)
	r.reading = true
	r.news.Wait()
}

// tellLoop wakes the caller if it waits; it then looks at everything again.
func (r *run) tellLoop() {
	if r.reading {
		r.reading = false
		r.news.Signal()
	}
}

// cause returns why the context of the tasks has ended, and the error of the
// caller's context. If that has not ended, neither is seen: the call returns the
// error that has ended it, or panics. It is called without the lock, as
// askParent is.
func (r *run) cause() (cause, err error) {
	return context.Cause(r.ctx), r.parent.Err()
}

// unstarted is the error of a task that never ran.
func (r *run) unstarted() error {
	if r.notStarted == nil {
		r.notStarted = r.config.Errors.NotStarted(r.cause())
	}
	return r.notStarted
}

// endCause is the cause with which the end cancels. A worker may be about to
// cancel with the same.
func (r *run) endCause() error {
	switch {
	case r.panics != nil:
		return r.panics.err
	case r.failed != nil:
		return r.failed
	}
	return r.config.Errors.Stopped
}

// watch has a goroutine of the run follow the end of the context: it calls tell
// with the lock held, and then the functions of OnCancel. The end waits for it,
// unless unwatch keeps it from beginning.
func (r *run) watch(tell func()) (unwatch func() bool) {
	r.watching = true // nothing runs yet that needs the lock
	return afterFunc(r.ctx, func() { r.contextEnded(tell) })
}

func (r *run) contextEnded(tell func()) {
	defer func() {
		r.mu.Lock()
		r.watching = false
		r.tellLoop()
		r.mu.Unlock()
	}()
	pprof.SetGoroutineLabels(r.ctx) // this goroutine was launched by the one that canceled
	r.mu.Lock()
	tell()
	r.mu.Unlock()
	r.callAll(OfOnCancel, r.config.OnCancel)
}
