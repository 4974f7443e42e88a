package crew

import (
	"context"
	"runtime/pprof"
	"runtime/trace"
)

// OfList readies a run of a list of tasks.
func OfList[T any](ctx context.Context, config *Config, tasks []Task[T], inOrder bool) Run[int, T] {
	if inOrder || config.most(len(tasks)) != Unlimited || needsCrew(config) {
		return crewOfList(ctx, config, tasks, inOrder)
	}
	l := new(list[T])
	l.init(ctx, config, tasks)
	l.places.init(len(tasks), l.mu)
	return l
}

// needsCrew reports whether a list needs a Crew although there is room for all
// its results: because a limiter holds its tasks back too, because the end does
// not wait for them, or because it matters in which order results come that
// nobody reads.
func needsCrew(config *Config) bool {
	return config.Limiter != nil || config.Detach || config.OnDiscard != nil
}

// list is a run of a list of tasks that nothing holds back but a limit, and that
// has room for all results, in finish order or for the end. There a worker only
// counts from one task to the next. It takes the lock to begin, to launch another
// worker, to wake the loop and to leave. (On two cores, 100,000 empty tasks take
// half the time that they take in a Crew.)
type list[T any] struct {
	run
	read int // results that the loop has read; its own

	// A worker writes next and places.taken for each task. They share a cache line,
	// and nothing else is on it.
	_    gap
	next atomicInt64 // the index of the next task; workers add to it, past the end too

	// Where the results go.
	places places[T] // if a loop reads them; begins with taken, and a gap
	slots  *slots[T] // if nobody reads them before the end; else nil

	tasks   []Task[T]
	awaited atomicInt64 // the place of the result for which the loop waits, from 1
	full    atomicBool  // nobody is to be launched: a worker is starting, or the limit is reached
}

// gap keeps what lies on its two sides from being on the same cache line, of 64
// bytes: each side has at least a word.
type gap [64 - 8]byte

// init readies the run.
func (l *list[T]) init(ctx context.Context, config *Config, tasks []Task[T]) {
	l.run.init(ctx, config)
	l.tasks = tasks
	l.body = l.serve
}

// Start is that of Run.
func (l *list[T]) Start() {
	if l.config.OnCancel != nil {
		l.watch(func() {}) // its loop waits only while workers run, and those see the end of ctx
	}
	if len(l.tasks) > 0 {
		l.workers = 1
		spawn(l.body)
	}
}

// Next is that of Run.
func (l *list[T]) Next() (item Item[int, T], ok bool) {
	if l.read == len(l.tasks) {
		return item, false
	}
	p := l.places.ready(l.read)
	if p == nil || l.panicked.Load() {
		if p, ok = l.await(); !ok {
			return item, false
		}
	}
	if p != nil {
		item = p.read()
	} else {
		item = Item[int, T]{Key: l.read, Err: l.unstarted()}
	}
	l.read++
	return item, true
}

// await waits until the next place is ready. p is nil if it never will be: then
// all tasks that have started are read, and the next one never ran. ok is false if
// there is a panic to raise.
func (l *list[T]) await() (p *place[T], ok bool) {
	l.mu.Lock()
	for l.panics == nil {
		l.awaited.Store(int64(l.read) + 1)
		p = l.places.ready(l.read) // after the store: see put
		if p != nil || l.workers == 0 {
			ok = true
			break
		}
		l.awaitNews()
	}
	l.mu.Unlock()
	return p, ok
}

// Stop is that of Run.
func (l *list[T]) Stop() {
	l.mu.Lock()
	cause := l.endCause()
	l.mu.Unlock()
	l.cancel(cause)

	l.mu.Lock()
	for l.workers > 0 || l.watching {
		l.awaitNews()
	}
	l.mu.Unlock()
	l.traced.end(l.ctx, l.config.Name)
	if l.late != nil && l.panics == nil {
		l.bodyFirst(recover())
	}
	l.raise()
}

// listWorker is what one goroutine of a list's run keeps.
type listWorker struct {
	n int // the index of its task
	exit
}

// serve is what a goroutine of the run runs, as Crew.serve is.
func (l *list[T]) serve() {
	var w listWorker
	defer func() {
		if w.busy {
			l.broken(&w)
		}
	}()
	if l.labels {
		pprof.SetGoroutineLabels(l.ctx)
	}
	l.mu.Lock()
	l.full.Store(l.workers == l.config.Limit) // this one is no longer starting
	l.mu.Unlock()
	l.runTasks(&w)
	w.panics = true // if it is busy: runtime.Goexit does not come back here
}

// runTasks runs tasks until there is none, or one panics or calls
// runtime.Goexit.
func (l *list[T]) runTasks(w *listWorker) {
	defer w.catch()
	for l.take(w) {
		var value T
		var err error
		w.busy = true
		if trace.IsEnabled() {
			value, err = l.runTraced(w.n)
		} else {
			value, err = l.tasks[w.n](l.ctx)
		}
		w.busy = false
		l.put(w.n, value, err)
	}
}

// take takes the next task for w, and sees to a worker for the one after that.
// If there is none, or the context has ended, w leaves.
func (l *list[T]) take(w *listWorker) bool {
	l.askParent()
	if l.ctx.Err() == nil {
		if w.n = int(l.next.Add(1)) - 1; w.n < len(l.tasks) {
			if w.n+1 < len(l.tasks) && !l.full.Load() {
				l.addWorker()
			}
			return true
		}
	}
	l.leave()
	return false
}

// leave counts a worker that leaves.
func (l *list[T]) leave() {
	l.mu.Lock()
	l.workers--
	if l.workers == 0 {
		l.tellLoop()
	}
	l.mu.Unlock()
}

// addWorker launches another worker, unless somebody else has.
func (l *list[T]) addWorker() {
	l.mu.Lock()
	launch := !l.full.Load()
	if launch {
		l.workers++
		l.full.Store(true)
	}
	l.mu.Unlock()
	if launch {
		spawn(l.body)
	}
}

// put puts the result of task n where it belongs.
func (l *list[T]) put(n int, value T, err error) {
	if l.slots != nil {
		l.slots.put(n, value, err)
		if err != nil && l.slots.failFast() {
			l.stopAt(n, err)
		}
		return
	}
	i := l.places.put(n, value, err)
	// The loop says first for which place it waits, and then looks whether that is
	// ready. So either it sees the result, or it is seen here.
	if l.awaited.Load() == int64(i)+1 {
		l.mu.Lock()
		l.tellLoop()
		l.mu.Unlock()
	}
}

// stopAt stops the run because task n has failed.
func (l *list[T]) stopAt(n int, err error) {
	l.mu.Lock()
	l.fail(n, err)
	l.mu.Unlock()
	l.cancel(l.failed)
}

// runTraced runs a task that an execution trace shows.
func (l *list[T]) runTraced(n int) (T, error) {
	ctx, region := l.traceTask(n)
	defer region.End()
	return l.tasks[n](ctx)
}

// broken deals with a task that has not returned. Another worker is launched in
// place of w, and counts as w did.
func (l *list[T]) broken(w *listWorker) {
	if err := l.exited(&w.exit, w.n); err != nil {
		var none T
		l.put(w.n, none, err)
	}
	spawn(l.body)
}
