//go:build !explore

package proof_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// soakFor is how long TestSoak goes on.
var soakFor = flag.Duration("soak", 0, "how long TestSoak goes on; 0: for about a second")

// Calls of every kind, from several goroutines at once and nested, that end in
// every way: their results are right, every value is accounted for, and nothing
// is left of them.
func TestSoak(t *testing.T) {
	if testing.Short() && *soakFor == 0 {
		t.Skip("it takes a second")
	}
	s := &soak{t: t, limiters: make([]soakLimiter, 3)}
	for i := range s.limiters {
		s.limiters[i] = soakLimiter{n: int64(i + 1), limiter: await.NewLimiter(i + 1)}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	goroutines := runtime.NumGoroutine()

	warm()
	s.drive(ctx, 500, 0)
	before := s.heap(goroutines)
	calls, tasks := s.calls.Load(), s.tasks.Load()
	start := time.Now()
	s.drive(ctx, 1000, *soakFor)
	took := time.Since(start).Round(time.Millisecond)
	after := s.heap(goroutines)

	t.Logf("%v: %d calls, %d tasks", took, s.calls.Load()-calls, s.tasks.Load()-tasks)
	t.Logf("calls made by tasks: %d, that panicked: %d, left early: %d",
		s.nested.Load(), s.panics.Load(), s.left.Load())
	t.Logf("heap: %d KB before, %d KB after; objects: %d before, %d after",
		before.HeapAlloc>>10, after.HeapAlloc>>10, before.HeapObjects, after.HeapObjects)
	t.Logf("goroutines: %d before, %d after", goroutines, runtime.NumGoroutine())
	t.Logf("context children: %d registered, %d left", s.registered.Load(), s.children.Load())

	require.LessOrEqual(t, after.HeapAlloc, before.HeapAlloc+1<<19, "the heap grows")
	require.Greater(t, s.registered.Load(), s.calls.Load()/2, "calls were not seen to register, but for those whose context had ended")
}

// warm starts more goroutines than the test will have at once: the runtime
// never frees what it needs for each.
func warm() {
	var crowd sync.WaitGroup
	all := make(chan struct{})
	for range 6000 {
		crowd.Go(func() { <-all })
	}
	close(all)
	crowd.Wait()
}

// soak is what all calls of the test share.
type soak struct {
	t        *testing.T
	limiters []soakLimiter

	calls, tasks, nested, panics, left atomic.Int64

	running              atomic.Int64 // tasks
	pulling              atomic.Int64 // sequences that have begun and not ended
	values               atomic.Int64 // of calls with OnDiscard, that have reached neither it nor the caller
	registered, children atomic.Int64 // of the contexts given to calls
}

type soakLimiter struct {
	n       int64
	limiter *await.Limiter
	inside  atomic.Int64 // tasks that make no calls
}

// drive makes calls from several goroutines, at least so many and for so long.
func (s *soak) drive(ctx context.Context, calls int64, d time.Duration) {
	end, most := time.Now().Add(d), s.calls.Load()+calls
	var drivers sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		drivers.Go(func() {
			for !s.t.Failed() && (s.calls.Load() < most || time.Now().Before(end)) {
				s.call(ctx, nil)
			}
		})
	}
	drivers.Wait()
}

// heap waits until nothing is left of the calls, and then measures the heap.
func (s *soak) heap(goroutines int) (stats runtime.MemStats) {
	deadline := time.Now().Add(10 * time.Second)
	for s.running.Load()+s.pulling.Load()+s.children.Load()+s.values.Load() > 0 || runtime.NumGoroutine() > goroutines {
		if time.Now().After(deadline) {
			require.FailNowf(s.t, "something is left of the calls",
				"tasks: %d, sequences: %d, values: %d, context children: %d, goroutines: %d of %d", s.running.Load(),
				s.pulling.Load(), s.values.Load(), s.children.Load(), runtime.NumGoroutine(), goroutines)
		}
		runtime.Gosched()
	}
	runtime.GC()
	runtime.GC() // what a pool kept over the first
	runtime.ReadMemStats(&stats)
	return stats
}

// counted is a context that counts the children that are registered with it.
type counted struct {
	context.Context
	soak *soak
}

// counted is ctx, counting.
func (s *soak) counted(ctx context.Context) context.Context { return counted{ctx, s} }

// AfterFunc is what package context uses to register a child of a context
// that is not its own.
func (c counted) AfterFunc(f func()) (stop func() bool) {
	c.soak.registered.Add(1)
	c.soak.children.Add(1)
	unregister := sync.OnceFunc(func() { c.soak.children.Add(-1) })
	inner := context.AfterFunc(c.Context, func() { unregister(); f() })
	return func() bool { unregister(); return inner() }
}

// Value hides that the context inside is one of package context, which asks for
// that with a pointer to an int: children would be registered there.
func (c counted) Value(key any) any {
	if _, ok := key.(*int); ok {
		return nil
	}
	return c.Context.Value(key)
}

// call is one call and the account of its tasks.
type call struct {
	*soak
	cancel  context.CancelFunc // of the caller's context; nil if it does not end early
	opts    []await.Option
	limit   int64
	detach  bool
	recover bool
	calm    bool // no task fails
	limiter int  // index in limiters; -1 if none
	lowest  int  // that inner calls may use: limiters are nested in one order
	depth   int

	hooked   bool          // OnCancel is given
	woken    chan struct{} // it closes this, unless the call has several runs
	discards bool          // OnDiscard is given

	running  atomic.Int64
	pulling  atomic.Int64
	cancels  atomic.Int64 // calls of OnCancel's function
	tasks    []taskState
	add      func() // adds a task, if the call is on a queue
	ended    bool   // the loop has ended by itself
	offered  int    // tasks of the sequence
	complete bool   // the sequence has returned by itself
	breaks   bool   // the sequence panics
}

// taskState is what has become of one task.
type taskState struct {
	started, panicked, exited bool
	value                     int
	err                       error
	yields                    int
	reached                   atomic.Bool // its value has reached the caller, or OnDiscard
}

// errSequence is what a sequence panics with.
var errSequence = errors.New("the sequence has panicked")

// errLeft is what a loop's body panics with.
var errLeft = errors.New("the body has panicked")

// chance is true once in n times.
func chance(n int) bool { return rand.IntN(n) == 0 }

// call makes a call of a random kind and returns what it panicked with. outer
// is that whose task makes the call; nil if none does.
func (s *soak) call(ctx context.Context, outer *call) (panicked any) {
	c := &call{soak: s, limit: 1 << 30, limiter: -1}
	c.tasks = make([]taskState, 1+rand.IntN(12))
	if outer != nil {
		s.nested.Add(1)
		c.depth, c.lowest = outer.depth+1, outer.lowest
	} else if chance(200) {
		c.tasks = make([]taskState, 3000)
	}
	c.options()
	switch rand.IntN(8) {
	case 0:
		ctx, c.cancel = context.WithTimeout(ctx, rand.N(2*time.Millisecond))
	case 1:
		ctx, c.cancel = context.WithCancel(ctx) // a task does
	case 2:
		ctx, c.cancel = context.WithCancel(ctx)
		if chance(4) {
			c.cancel()
		}
	}
	if c.cancel != nil {
		defer c.cancel()
	}
	s.calls.Add(1)
	ctx = s.counted(ctx)
	switch rand.IntN(12) {
	case 0, 1:
		panicked = c.apart(func() { c.loop(await.AsCompleted(ctx, c.list(), c.opts...), true) })
	case 2:
		panicked = c.apart(func() { c.loop(inOrder(c, await.InOrder(ctx, c.list(), c.opts...)), true) })
	case 3:
		panicked = c.apart(func() { c.loop(await.AsCompletedSeq(ctx, c.seq(none), c.opts...), false) })
	case 4:
		panicked = c.apart(func() { c.loop(inOrder(c, await.InOrderSeq(ctx, c.seq(none), c.opts...)), false) })
	case 5:
		panicked = c.queue(ctx)
	case 6, 7:
		panicked = c.apart(func() { c.gather(ctx) })
	case 8:
		panicked = c.apart(func() {
			for i, r := range await.Settle(ctx, c.list(), c.opts...) {
				c.take(i, r)
			}
			c.ended = true
		})
	case 9:
		panicked = c.apart(func() { c.gatherFew(ctx) })
	case 10:
		panicked = c.apart(func() {
			i, value, err := await.First(taken(c, await.AsCompleted(ctx, c.list(), c.opts...)))
			assert.True(s.t, err != nil || value == i+1, "First")
		})
	case 11:
		if c.detach {
			break // the panic of a sequence that nobody waits for is a crash
		}
		c.calm, c.breaks = true, true
		at := rand.IntN(len(c.tasks))
		panicked = c.apart(func() {
			for i, r := range await.AsCompletedSeq(ctx, c.seq(at), c.opts...) {
				c.take(i, r)
			}
		})
		err, _ := panicked.(error)
		assert.True(s.t, errors.Is(err, errSequence) || panicked == nil && ctx.Err() != nil, "the panic of a sequence: %v", panicked)
		c.breaks = panicked != nil
	}
	c.audit(panicked)
	return panicked
}

// options chooses the options.
func (c *call) options() {
	if chance(2) {
		c.limit = int64(1 + rand.IntN(4))
		c.opts = append(c.opts, await.Limit(int(c.limit)))
	}
	if chance(3) {
		c.opts = append(c.opts, await.Buffer(rand.IntN(4)))
	}
	if chance(4) {
		c.limiter = c.lowest + rand.N(len(c.limiters)-c.lowest)
		c.lowest = c.limiter
		c.opts = append(c.opts, await.Within(c.limiters[c.limiter].limiter))
	}
	if chance(5) {
		c.opts = append(c.opts, await.Name("soak"))
	}
	if c.detach = chance(6); c.detach {
		c.opts = append(c.opts, await.Detach())
	}
	if c.recover = chance(3); c.recover {
		c.opts = append(c.opts, await.Recover())
	}
	if c.hooked = chance(3); c.hooked {
		c.woken = make(chan struct{})
		c.opts = append(c.opts, await.OnCancel(c.canceled))
	}
	if c.discards = chance(3); c.discards {
		c.opts = append(c.opts, await.OnDiscard(c.reach))
	}
}

// canceled is the function given to OnCancel.
func (c *call) canceled() {
	if c.cancels.Add(1) == 1 {
		close(c.woken)
	}
	if chance(2) {
		time.Sleep(rand.N(100 * time.Microsecond))
	}
}

// reach counts a value that has reached the caller, or OnDiscard.
func (c *call) reach(value int) {
	if c.discards {
		assert.True(c.t, c.tasks[value-1].reached.CompareAndSwap(false, true), "value %d has reached the caller or OnDiscard twice", value)
		c.values.Add(-1)
	}
}

// mayPanic reports whether a task may panic: after the end of a call with
// Detach that is a crash.
func (c *call) mayPanic() bool { return c.recover || !c.detach }

// task is task i: i + 1 is its value.
func (c *call) task(i int) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		o := &c.tasks[i]
		c.soak.tasks.Add(1)
		c.soak.running.Add(1)
		defer c.soak.running.Add(-1)
		assert.LessOrEqual(c.t, c.running.Add(1), c.limit, "more tasks than the limit allows")
		defer c.running.Add(-1)
		assert.False(c.t, o.started, "a task has run twice")
		o.started = true
		err := c.work(ctx, o)
		o.value, o.err = i+1, err
		if err == nil && c.discards {
			c.values.Add(1)
		}
		return o.value, o.err
	}
}

// work is what a task does.
func (c *call) work(ctx context.Context, o *taskState) error {
	if c.add != nil && chance(2) {
		c.add()
	}
	if c.depth < 2 && !c.calm && chance(20) {
		panicked := c.call(ctx, c)
		if panicked != nil && c.mayPanic() && chance(2) {
			o.panicked = true
			panic(panicked)
		}
		return nil
	}
	if c.limiter >= 0 {
		l := &c.limiters[c.limiter]
		assert.LessOrEqual(c.t, l.inside.Add(1), l.n, "more tasks than the limiter allows")
		defer l.inside.Add(-1)
	}
	switch kind := rand.IntN(200); {
	case kind < 80 || c.calm:
	case kind < 100:
		runtime.Gosched()
	case kind < 120:
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(time.Millisecond)):
		}
	case kind < 130:
		time.Sleep(rand.N(time.Millisecond))
	case kind < 145:
		return tasktest.ErrBoom
	case kind < 148 && c.mayPanic():
		o.panicked = true
		panic(tasktest.ErrBoom)
	case kind < 152:
		o.exited = true
		runtime.Goexit()
	case kind < 155 && c.cancel != nil:
		c.cancel()
	}
	return nil
}

// list is the tasks as a list.
func (c *call) list() []await.Task[int] {
	tasks := make([]await.Task[int], len(c.tasks))
	for i := range tasks {
		tasks[i] = c.task(i)
	}
	return tasks
}

// seq is the tasks as a sequence, which panics at one of them.
func (c *call) seq(panics int) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		c.soak.pulling.Add(1)
		c.pulling.Add(1)
		defer func() {
			c.pulling.Add(-1)
			c.soak.pulling.Add(-1)
		}()
		for i := range c.tasks {
			if i == panics {
				panic(errSequence)
			}
			if chance(20) {
				select {
				case <-c.woken:
				case <-time.After(rand.N(time.Millisecond)):
				}
			}
			c.offered++
			if !yield(i, c.task(i)) {
				return
			}
		}
		c.complete = true
	}
}

// apart makes a run of the call on a goroutine of its own, which it may end by
// runtime.Goexit. It returns what the call panicked with.
func (c *call) apart(f func()) (panicked any) {
	before := c.cancels.Load()
	ended := make(chan any)
	go func() {
		defer func() {
			panicked := recover()
			if !c.detach {
				assert.Zero(c.t, c.running.Load(), "tasks run after the end")
				assert.Zero(c.t, c.pulling.Load(), "the sequence runs after the end")
			}
			if c.hooked {
				assert.Equal(c.t, before+1, c.cancels.Load(), "calls of OnCancel's function")
			}
			ended <- panicked
		}()
		f()
	}()
	return <-ended
}

// loop ranges over the results and leaves somewhere, somehow, or not at all.
func (c *call) loop(results iter.Seq2[int, await.Result[int]], list bool) {
	if chance(4) {
		results = pulled(results)
	}
	yields, leave := 0, 1+rand.IntN(3*len(c.tasks))
	for i, r := range results {
		c.take(i, r)
		if c.add != nil && chance(3) {
			c.add()
		}
		if yields++; yields == leave {
			c.left.Add(1)
			switch rand.IntN(3) {
			case 0:
				return
			case 1:
				panic(errLeft)
			case 2:
				runtime.Goexit()
			}
		}
	}
	c.ended = true
	if list {
		assert.Len(c.t, c.tasks, yields, "a task has not yielded")
	}
}

// pulled is the results by way of iter.Pull2.
func pulled(results iter.Seq2[int, await.Result[int]]) iter.Seq2[int, await.Result[int]] {
	return func(yield func(int, await.Result[int]) bool) {
		next, stop := iter.Pull2(results)
		defer stop()
		for i, r, ok := next(); ok && yield(i, r); i, r, ok = next() {
		}
	}
}

// inOrder is the results, which must be in order.
func inOrder(c *call, results iter.Seq2[int, await.Result[int]]) iter.Seq2[int, await.Result[int]] {
	return func(yield func(int, await.Result[int]) bool) {
		last := -1
		for i, r := range results {
			assert.Greater(c.t, i, last, "not in order")
			last = i
			if !yield(i, r) {
				return
			}
		}
	}
}

// taken is the results, which are taken before the loop has them. So First has
// its winner, even if it does not return it because of a panic at the end.
func taken(c *call, results iter.Seq2[int, await.Result[int]]) iter.Seq2[int, await.Result[int]] {
	return func(yield func(int, await.Result[int]) bool) {
		for i, r := range results {
			c.take(i, r)
			if !yield(i, r) {
				return
			}
		}
	}
}

// take takes the result of task i, which must be what the task returned.
func (c *call) take(i int, r await.Result[int]) {
	o := &c.tasks[i]
	o.yields++
	if r.Err == nil {
		c.reach(r.Value)
	}
	same := r.Value == i+1 || r.Err != nil
	if !c.detach { // else the task may still run: only it may look
		same = r.Value == o.value
	}
	assert.True(c.t, same && c.cameTo(i, r.Err), "task %d has yielded %+v", i, r)
}

// cameTo reports whether err is what task i came to.
func (c *call) cameTo(i int, err error) bool {
	o := &c.tasks[i]
	var fault *await.PanicError
	switch {
	case c.detach:
		return true
	case !o.started:
		return errors.Is(err, await.ErrNotStarted)
	case o.panicked:
		return errors.As(err, &fault)
	case o.exited:
		return errors.Is(err, await.ErrGoexit)
	}
	return err == o.err //nolint:errorlint // it must be the very error
}

// queue makes the tasks come one after the other, and loops until none is left.
func (c *call) queue(ctx context.Context) (panicked any) {
	var queue await.Queue[int, int]
	var added atomic.Int64
	c.add = func() {
		if i := int(added.Add(1)) - 1; i < len(c.tasks) {
			queue.Add(i, c.task(i))
		}
	}
	c.add()
	var other sync.WaitGroup
	other.Go(c.add)
	panicked = c.apart(func() { c.loop(queue.AsCompleted(ctx, c.opts...), false) })
	other.Wait()
	ctx = context.WithoutCancel(ctx) // still that of the outer task, whose place it may need
	for !c.detach && queue.Len() > 0 {
		c.apart(func() { c.loop(queue.AsCompleted(ctx, c.opts...), false) })
	}
	c.offered = int(min(added.Load(), int64(len(c.tasks))))
	c.ended = true
	return panicked
}

// gather is Gather.
func (c *call) gather(ctx context.Context) {
	values, err := await.Gather(ctx, c.list(), c.opts...)
	c.ended = err == nil
	var failed *await.TaskError
	if errors.As(err, &failed) {
		assert.True(c.t, c.cameTo(failed.Index, failed.Err), "Gather: %v", err)
	}
	for i, value := range values {
		assert.True(c.t, value == i+1 || value == 0 && err != nil, "Gather: value %d of task %d, %v", value, i, err)
		c.tasks[i].yields++
		if value != 0 {
			c.reach(value)
		}
	}
}

// gatherFew is Gather2 or Gather3.
func (c *call) gatherFew(ctx context.Context) {
	c.tasks = make([]taskState, 3)
	if c.discards { // they do not take it
		c.discards = false
		c.opts = c.opts[:len(c.opts)-1]
	}
	text := func(ctx context.Context) (string, error) {
		value, err := c.task(1)(ctx)
		return fmt.Sprint(value), err
	}
	if chance(2) {
		a, b, err := await.Gather2(ctx, c.task(0), text, c.opts...)
		assert.True(c.t, err != nil || a == 1 && b == "2", "Gather2")
		return
	}
	a, b, third, err := await.Gather3(ctx, c.task(0), text, c.task(2), c.opts...)
	assert.True(c.t, err != nil || a == 1 && b == "2" && third == 3, "Gather3")
}

// audit compares what the call did with what its tasks did.
func (c *call) audit(panicked any) {
	var fault *await.PanicError
	if err, ok := panicked.(error); ok {
		c.panics.Add(1)
		assert.True(c.t, errors.As(err, &fault) || errors.Is(err, errLeft), "panicked: %v", err)
	}
	if c.detach {
		return // tasks may still run
	}
	someone, refused := false, false
	for i := range c.tasks {
		o := &c.tasks[i]
		someone = someone || o.panicked
		refused = refused || !o.started && o.yields > 0
		assert.LessOrEqual(c.t, o.yields, 1, "task %d has yielded twice", i)
		assert.True(c.t, !c.discards || o.value == 0 || o.err != nil || o.reached.Load(), "value %d is lost", o.value)
		must := o.started || i < c.offered
		raised := o.panicked && !c.recover
		assert.True(c.t, !c.ended || !must || raised || o.yields == 1, "task %d has not yielded", i)
	}
	if c.add == nil { // the audit of a queue is that of several loops
		assert.Equal(c.t, c.breaks || someone && !c.recover, fault != nil, "the panic of a task, and of the call")
		cutShort := c.ended && c.offered > 0 && !c.complete
		assert.True(c.t, !cutShort || refused, "a loop that was cut short looks like one that was not")
	}
}
