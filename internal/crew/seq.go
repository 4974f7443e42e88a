package crew

import (
	"context"
	"iter"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// OfSeq readies a run of a sequence of tasks.
func OfSeq[K, T any](ctx context.Context, config *Config, tasks iter.Seq2[K, Task[T]], inOrder bool) *Crew[K, T] {
	r := new(struct {
		Crew[K, T]
		feeder feeder[K, T]
	})
	f := &r.feeder
	f.crew, f.tasks = &r.Crew, tasks
	r.feeder.room = min(config.Limit, mostHanded)
	if config.Limiter != nil {
		f.room = 1 // more would wait for their permits
	}
	f.ring = make([]entry[K, T], f.room)
	r.labels = true // the feeder launches workers, and runs code of the user's
	r.init(ctx, config, f, Unlimited, inOrder)
	f.places.L = r.mu
	r.Crew.feeder = f
	return &r.Crew
}

// mostHanded is how many tasks a feeder hands over at most before a worker
// takes one. With room for one alone, feeder and workers would wait for each
// other at every task.
const mostHanded = 32

// feeder is a source, and a goroutine of the run that ranges over a sequence
// and hands over its tasks, while there is a free place for each of them. The
// lock of the crew guards it.
type feeder[K, T any] struct {
	crew  *Crew[K, T]
	tasks iter.Seq2[K, Task[T]]
	room  int // for tasks that were handed over and not taken

	ring  []entry[K, T] // the tasks that were handed over and not taken
	first int           // the place of the first
	count int           // of tasks in ring

	pulling bool // the goroutine has not ended
	inStep  bool // the sequence is making its next step
	waiting bool // the goroutine waits for a free place
	places  cond // for that

	makingWay int           // workers that make way for the goroutine
	asked     int           // how often tellEarly had a choice since it read the clock
	timed     time.Duration // when it read the clock
	long      bool          // what it then found: handfuls take long

	caught *recovered // how the sequence has ended without returning; the goroutine's own
}

// entry is a task with its key.
type entry[K, T any] struct {
	key  K
	task Task[T]
}

func (f *feeder[K, T]) more() bool { return f.count > 0 }

func (f *feeder[K, T]) take() (key K, task Task[T]) {
	e := &f.ring[f.first]
	key, task = e.key, e.task
	*e = entry[K, T]{}
	f.count--
	if f.first++; f.first == len(f.ring) {
		f.first = 0
	}
	return key, task
}

func (f *feeder[K, T]) drop() (key K, ok bool) {
	key, _ = f.take()
	return key, true
}

// feed is the goroutine of the feeder. It ranges with a plain range statement,
// so the sequence may lock its thread, and a sequence that goes on when it was
// told to end panics.
func (f *feeder[K, T]) feed() {
	c := f.crew
	exited := true
	defer func() {
		if f.caught != nil {
			if exited && f.caught.value == nil {
				f.caught.value = c.config.Errors.Goexit
			}
			c.report(f.caught)
		}
		c.mu.Lock()
		f.pulling = false
		if c.running == 0 && f.count == 0 || c.ended() { // else the end of a task does
			c.tellLoop()
		}
		c.mu.Unlock()
	}()
	pprof.SetGoroutineLabels(c.ctx)
	f.pull()
	exited = false // runtime.Goexit does not come back here
}

// pull ranges over the sequence.
func (f *feeder[K, T]) pull() {
	returned := false
	defer func() {
		if !returned {
			f.caught = &recovered{of: OfSequence, value: recover(), stack: debug.Stack()}
		}
	}()
	if f.begin() {
		for key, task := range f.tasks {
			if !f.offer(key, task) {
				break
			}
		}
	}
	returned = true
}

// begin reports whether to begin with the first step.
func (f *feeder[K, T]) begin() bool {
	f.crew.mu.Lock()
	defer f.crew.mu.Unlock()
	f.inStep = !f.unwanted()
	return f.inStep
}

// offer hands a task over, and waits until there is a place for the next one.
// It reports whether to go on.
func (f *feeder[K, T]) offer(key K, task Task[T]) (goOn bool) {
	c := f.crew
	c.askParent()
	c.mu.Lock()
	f.inStep = false
	wanted := !f.unwanted()
	if wanted && task != nil {
		f.hand(entry[K, T]{key, task})
		if c.addWorker() {
			c.mu.Unlock()
			spawn(c.body)
			c.mu.Lock()
		}
		goOn = f.wait() && !f.unwanted()
	}
	f.inStep = goOn
	c.mu.Unlock()
	if wanted && task == nil {
		c.report(&recovered{of: OfSequence, value: c.config.Errors.NilTask(key), stack: debug.Stack()})
	}
	return goOn
}

// unwanted reports whether no result is to come of what the sequence offers.
func (f *feeder[K, T]) unwanted() bool {
	c := f.crew
	return c.left || c.panics != nil || c.config.Detach && c.ended()
}

// hand puts a task at the end of the ring.
func (f *feeder[K, T]) hand(e entry[K, T]) {
	i := f.first + f.count
	if i >= len(f.ring) {
		i -= len(f.ring)
	}
	f.ring[i] = e
	f.count++
}

// wait waits for a free place. If the context ends before, it reports whether
// the sequence is to be asked for one task more all the same, which then is not
// started, and tells the loop that it was cut short: it is, unless there is
// such a task.
func (f *feeder[K, T]) wait() bool {
	c := f.crew
	for !f.free() && !c.ended() {
		f.waiting = true
		f.places.Wait()
	}
	return f.count == 0 || !c.ended()
}

// free reports whether there is a place for one task more. A task that was
// handed over has one.
func (f *feeder[K, T]) free() bool {
	c := f.crew
	return f.count < f.room && c.running+f.count < c.config.Limit && c.unread+f.count < c.most
}

// tell wakes the feeder if it need not wait any longer. It is called only while
// the feeder waits. While tasks that were handed over wait for their workers,
// which are on their way, the feeder is left to sleep: so it brings several tasks
// each time it wakes.
func (f *feeder[K, T]) tell() {
	if f.count == 0 && f.free() {
		f.wake()
	}
}

// tellEarly wakes the feeder before the last task of a handful is taken, if a
// worker should then make way for it: if handfuls take long. It is called only
// while the feeder waits, and reports whether it has woken it. It reads the clock
// once in several handfuls, because that costs as much as a fifth of a task that
// does nothing.
func (f *feeder[K, T]) tellEarly() bool {
	c := f.crew
	if f.count > 1 || !f.free() || f.makingWay == mostMakeWay {
		return false
	}
	if c.running+f.makingWay+1 >= c.config.Limit {
		// Where goroutines compute on every core, a worker that makes way has its
		// next turn after tens of milliseconds. So a place is left for one that
		// does not.
		return false
	}
	if f.asked == 0 {
		t := now()
		f.long = f.timed != 0 && t-f.timed > handfuls*short
		f.timed = t
	}
	f.asked = (f.asked + 1) % handfuls
	if f.long {
		f.wake()
	}
	return f.long
}

func (f *feeder[K, T]) wake() {
	f.waiting = false
	f.places.Signal()
}

// mostMakeWay is how many workers make way at once. On a core that always has
// something else to run, they wait long, and others are launched in their place.
const mostMakeWay = 4

// short is how long a handful of tasks takes that are so small that making way
// for the feeder would cost more than it gains.
const short = 5 * time.Microsecond
