package await_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

var (
	scenarios = flag.Int("scenarios", 20000, "how many scenarios TestEveryScenarioGoesAsTheContractSays performs")
	seedFlag  = flag.Int("seed", never, "perform only the scenario of this seed")
)

// Whatever is called, with whatever options, and whatever happens meanwhile:
// all of it happens as the oracle has foretold, at the very nanosecond.
//
//	go test -run Scenario -seed 7 -v .
func TestEveryScenarioGoesAsTheContractSays(t *testing.T) {
	t.Parallel()
	if *seedFlag != never {
		c := choicesOf(*seedFlag)
		s := scenarioOf("", c)
		fmt.Printf("%v\nforetold:\n%v", s, &s.foretell().chronicle) // not t.Log: the program may crash
		requireAsForetold(t, "this scenario", c)
		return
	}
	const lots = 50
	for lot := range lots {
		t.Run(fmt.Sprint(lot), func(t *testing.T) {
			t.Parallel()
			for seed := lot; seed < *scenarios; seed += lots {
				requireAsForetold(t, fmt.Sprintf("seed %d", seed), choicesOf(seed))
			}
		})
	}
}

// requireAsForetold performs the scenario of these choices. If it goes otherwise
// than foretold, the test fails with the smallest scenario found that does.
func requireAsForetold(t *testing.T, name string, c choices) {
	t.Helper()
	fails := func(c choices) bool { return scenarioOf(name, c).difference(t) != "" }
	if fails(c) {
		s := scenarioOf(name, c.shrunk(func(c choices) bool {
			s := scenarioOf(name, c)
			return s.breaks == never && (!s.detach || s.recovers) && // else what goes wrong might crash
				s.difference(t) != ""
		}))
		require.Fail(t, name+" does not go as foretold",
			"%v\nwhat should happen (-) and what does (+):\n%s", s, s.difference(t))
	}
}

// difference performs a scenario, and tells what of it was not foretold, or is
// wrong at any time.
func (s *scenario) difference(t *testing.T) string {
	o := s.foretell()
	if o.crashes || o.coincident {
		return fmt.Sprintf("the scenario is of no use: crashes %v, coincident %v", o.crashes, o.coincident)
	}
	st := s.perform(t)
	return o.diff(&st.chronicle) + strings.Join(st.wrongs(), "\n")
}

// diff marks with - what only c has, and with + what only other has. It is
// empty if they are equal.
func (c *chronicle) diff(other *chronicle) string {
	mine, its := c.sorted(), other.sorted()
	if slices.Equal(mine, its) {
		return ""
	}
	var text strings.Builder
	for len(mine)+len(its) > 0 {
		switch {
		case len(its) == 0 || len(mine) > 0 && mine[0].compare(its[0]) < 0:
			fmt.Fprintf(&text, "- %v\n", mine[0])
			mine = mine[1:]
		case len(mine) == 0 || mine[0].compare(its[0]) > 0:
			fmt.Fprintf(&text, "+ %v\n", its[0])
			its = its[1:]
		default:
			fmt.Fprintf(&text, "  %v\n", mine[0])
			mine, its = mine[1:], its[1:]
		}
	}
	return text.String()
}

// perform performs a scenario in a bubble of its own.
func (s *scenario) perform(t *testing.T) *stage {
	t.Helper()
	st := newStage(s)
	st.inBubble(t)
	return st
}

func (st *stage) inBubble(t *testing.T) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil { // a deadlock, for one
			st.complain("the bubble: %v", v)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		st.begin = time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			st.call(t.Context())
		}()
		<-done
		time.Sleep(curtainCall - time.Since(st.begin)) // what the call has left behind ends
		synctest.Wait()
		st.epilogue(t.Context())
	})
}

// stage is a scenario with the library on it. It writes down what happens, and
// complains of what must not happen whatever the scenario.
type stage struct {
	*scenario
	begin   time.Time
	limiter *await.Limiter
	queue   await.Queue[int, int]
	cancel  context.CancelCauseFunc // of the caller's context
	outside sync.WaitGroup          // goroutines that are neither the call's nor the engine's
	curtain atomic.Bool             // tasks do nothing any more
	real    bool                    // time is real: less than a microsecond is so many turns of other goroutines

	mu sync.Mutex // guards these
	chronicle
	complaints []string
	ctx        context.Context // of a task
	starts     []int           // of each task
	started    int             // tasks
	running    int
	panicked   int // tasks and steps
	over       bool
	gone       bool // the sequence has been left

	// Plain memory of the call's goroutine.
	yielded   []outturn
	exhausted bool   // the loop was not left early
	raised    string // what the call panics with

	// Plain memory that the call passes on.
	scripts []outturn // what each task has returned
	step    int       // of the sequence
}

// boom is how a task fails, or what it, or the sequence, panics with.
type boom struct {
	task int
	s    *scenario
}

// Error tells the scenario too, should that crash the program.
func (b boom) Error() string { return boomed(b.task) + " of " + b.s.name }

// worth is the value of a task that succeeds.
func worth(i int) int { return 100 + i }

var errCaller = errors.New("the caller")

func newStage(s *scenario) *stage {
	st := &stage{scenario: s, starts: make([]int, len(s.plans)), scripts: make([]outturn, len(s.plans))}
	if s.within > 0 {
		st.limiter = await.NewLimiter(s.within)
	}
	return st
}

func (st *stage) options() []await.Option {
	var opts []await.Option
	for _, o := range []struct {
		given bool
		opt   func() await.Option
	}{
		{st.limit > 0, func() await.Option { return await.Limit(st.limit) }},
		{st.buffer >= 0, func() await.Option { return await.Buffer(st.buffer) }},
		{st.within > 0, func() await.Option { return await.Within(st.limiter) }},
		{st.detach, await.Detach},
		{st.recovers, await.Recover},
		{st.named, func() await.Option { return await.Name("scenario") }},
	} {
		if o.given {
			opts = append(opts, o.opt())
		}
	}
	return opts
}

// call makes the call and writes down its end.
func (st *stage) call(ctx context.Context) {
	ctx, st.cancel = context.WithCancelCause(ctx)
	defer st.cancel(nil)
	if st.expires != never {
		st.later(st.expires, func() { st.cancel(errCaller) })
	}
	tasks := make([]await.Task[int], len(st.plans))
	for i, p := range st.plans {
		tasks[i] = st.task(i)
		switch {
		case st.kind != ofQueue:
		case p.by == byCaller:
			st.queue.Add(i, tasks[i])
		case p.by == byOutside:
			st.later(p.when, func() { st.queue.Add(i, st.task(i)) })
		}
	}
	exited := true
	defer func() { st.end(exited) }()
	func() {
		defer func() { st.caught(recover()) }()
		st.run(ctx, tasks)
	}()
	exited = false
}

// run ranges the loop, or calls the function that has none.
func (st *stage) run(ctx context.Context, tasks []await.Task[int]) {
	switch st.kind {
	case ofAsCompleted:
		st.loop(await.AsCompleted(ctx, tasks, st.options()...))
	case ofInOrder:
		st.loop(await.InOrder(ctx, tasks, st.options()...))
	case ofAsCompletedSeq:
		st.loop(await.AsCompletedSeq(ctx, st.sequence, st.options()...))
	case ofInOrderSeq:
		st.loop(await.InOrderSeq(ctx, st.sequence, st.options()...))
	case ofQueue:
		st.loop(st.queue.AsCompleted(ctx, st.options()...))
	case ofGather:
		values, err := await.Gather(ctx, tasks, st.options()...)
		st.write("the call returns %v %q", values, st.name(err))
	case ofSettle:
		for i, r := range await.Settle(ctx, tasks, st.options()...) {
			st.yielded = append(st.yielded, outturn{i, r.Value, st.name(r.Err)})
		}
		st.exhausted = true
		st.write("the call returns %+v", st.yielded)
	}
}

// loop ranges seq, itself or through iter.Pull2.
func (st *stage) loop(seq iter.Seq2[int, await.Result[int]]) {
	if st.pulled {
		next, stop := iter.Pull2(seq)
		defer stop()
		seq = func(yield func(int, await.Result[int]) bool) {
			for key, r, ok := next(); ok && yield(key, r); key, r, ok = next() {
			}
		}
	}
	for key, r := range seq {
		if st.body(key, r) {
			continue
		}
		switch st.how {
		case panics:
			panic("body")
		case exits:
			runtime.Goexit()
		}
		return
	}
	st.exhausted = true
}

// body is the loop's body. It reports whether the loop goes on.
func (st *stage) body(key int, r await.Result[int]) bool {
	st.mu.Lock()
	got := outturn{key, r.Value, st.name(r.Err)}
	n := len(st.yielded)
	st.yielded = append(st.yielded, got)
	if st.kind == ofQueue {
		st.noteNow("result %d: %+v, %d queued", n, got, st.queue.Len())
	} else {
		st.noteNow("result %d: %+v", n, got)
	}
	if unread := st.started - len(st.yielded); unread > st.bound() {
		st.complain("%d tasks are started and not yielded", unread)
	}
	notStarted := strings.HasPrefix(got.err, "not started")
	deserted := st.detach && got.err == errCaller.Error() // the task may be about to start, or still be writing
	if notStarted != (st.starts[key] == 0) && !deserted {
		st.complain("task %d has started %d times, and its error is %q", key, st.starts[key], got.err)
	}
	st.mu.Unlock()
	if !notStarted && !deserted && got != st.scripts[key] {
		st.complain("task %d has returned %+v, and yields %+v", key, st.scripts[key], got)
	}
	st.pause(st.bodies[n], nil)
	if n == st.cancels {
		st.cancel(errCaller)
	}
	if n == st.leaves {
		return false
	}
	st.add(byBody, n)
	return true
}

// task is a task as planned.
func (st *stage) task(i int) await.Task[int] {
	p := st.plans[i]
	return func(ctx context.Context) (int, error) {
		if st.curtain.Load() {
			return 0, nil
		}
		st.enter(ctx, i)
		how := p.ends
		var done <-chan struct{}
		if p.lingers != never {
			done = ctx.Done()
		}
		if interrupted := st.pause(p.lasts, done); interrupted {
			st.pause(p.lingers, nil)
			how = p.gives
		}
		if how != panics || st.recovers {
			st.add(byTask, i)
		}
		return st.exit(ctx, i, how)
	}
}

// enter is the start of a task.
func (st *stage) enter(ctx context.Context, i int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.noteNow("task %d starts", i)
	st.ctx = ctx
	st.starts[i]++
	st.started++
	st.running++
	if st.running > min(cmp.Or(st.limit, unlimited), cmp.Or(st.within, unlimited)) {
		st.complain("%d tasks run", st.running)
	}
	if st.over && !st.detach {
		st.complain("task %d starts after the end", i)
	}
}

// exit is the end of a task.
func (st *stage) exit(ctx context.Context, i int, how ending) (value int, err error) {
	cause := context.Cause(ctx)
	switch how {
	case succeeds:
		value = worth(i)
	case fails:
		err = boom{i, st.scenario}
	case both:
		value, err = worth(i), boom{i, st.scenario}
	case givesUp:
		err = cause
	case panics:
		err = &await.PanicError{Value: boom{i, st.scenario}}
	case exits:
		err = await.ErrGoexit
	}
	st.ended(i, how, cause)
	st.scripts[i] = outturn{i, value, st.name(err)} // after the mutex, which would make it visible
	switch how {
	case panics:
		panic(boom{i, st.scenario})
	case exits:
		runtime.Goexit()
	}
	return value, err
}

func (st *stage) ended(i int, how ending, cause error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.running--
	if how == panics && !st.recovers {
		st.panicked++
	}
	st.noteNow("task %d %v; its context: %q", i, how, st.name(cause))
}

// sequence is the sequence of the tasks.
func (st *stage) sequence(yield func(int, await.Task[int]) bool) {
	defer st.leaveSequence()
	for ; ; st.step++ {
		st.write("step %d", st.step)
		st.pause(st.steps[st.step], nil)
		var task await.Task[int]
		switch st.step {
		case st.breaks:
			st.breakStep()
		case len(st.plans):
			return
		default:
			task = st.task(st.step)
		}
		if !yield(st.step, task) {
			return
		}
	}
}

// breakStep fails, unless it is the nil task that does.
func (st *stage) breakStep() {
	st.mu.Lock()
	st.panicked++
	st.mu.Unlock()
	switch st.broken {
	case panics:
		panic(boom{never, st.scenario})
	case exits:
		runtime.Goexit()
	}
}

func (st *stage) leaveSequence() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gone = true
	if st.over {
		st.noteNow("the sequence is left")
	}
}

// end is the call's end.
func (st *stage) end(exited bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.over = true
	if st.gone {
		st.noteNow("the sequence is left")
	}
	if exited {
		st.noteNow("the call's goroutine exits")
	}
	if st.started > 0 {
		st.noteNow("the tasks' context has ended: %q", st.name(context.Cause(st.ctx)))
	}
	st.noteNow("the call ends")
	if st.running > 0 && !st.detach {
		st.complain("%d tasks run after the end", st.running)
	}
	if !st.detach && (st.panicked > 0) != strings.HasPrefix(st.raised, "panic: ") {
		st.complain("%d panics, and the call raises %q", st.panicked, st.raised)
	}
}

// caught is what the call panics with, or nil.
func (st *stage) caught(v any) {
	if v == nil {
		return
	}
	st.raised = st.name(v)
	more := 0
	if err, ok := v.(*await.PanicError); ok {
		stack := string(err.Stack)
		more = strings.Count(stack, "another task panicked: ")
		if _, ok := err.Value.(boom); ok && !strings.Contains(stack, "await_test.(*stage)") {
			st.complain("the panic has not the stack of its task: %s", stack)
		}
	}
	st.write("the call raises %s, and tells of %d more", st.raised, more)
}

// epilogue looks at what is left when all has come to its end. Whatever is in
// the queue comes out of it, in order, and all places of the limiter are free.
func (st *stage) epilogue(ctx context.Context) {
	st.curtain.Store(true)
	if st.kind == ofQueue {
		left := []int{}
		for key := range st.queue.AsCompleted(ctx, await.Limit(1)) {
			left = append(left, key)
		}
		st.mu.Lock()
		for _, key := range left {
			if st.starts[key] > 0 {
				st.complain("task %d has started, and is still queued", key)
			}
		}
		st.note(curtainCall, "still queued: %v", left)
		st.mu.Unlock()
	}
	if st.within > 0 {
		var in sync.WaitGroup // it hangs unless all places are free
		in.Add(st.within)
		await.Settle(ctx, copies(st.within, func(context.Context) (int, error) {
			in.Done()
			in.Wait()
			return 0, nil
		}), await.Within(st.limiter))
	}
}

// wrongs are the complaints, and what must not be whatever the scenario.
func (st *stage) wrongs() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	yields := make([]int, len(st.plans))
	for n, r := range st.yielded {
		yields[r.key]++
		if st.kind.ordered() && r.key != n {
			st.complain("result %d is that of task %d", n, r.key)
		}
	}
	for i := range st.plans {
		all := st.exhausted && (st.kind.list() || st.starts[i] > 0)
		if st.starts[i] > 1 || yields[i] > 1 || all && yields[i] == 0 {
			st.complain("task %d has started %d times, and yields %d times", i, st.starts[i], yields[i])
		}
	}
	return st.complaints
}

func (st *stage) complain(format string, args ...any) {
	st.complaints = append(st.complaints, fmt.Sprintf(format, args...))
}

// write notes what happens now.
func (st *stage) write(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.noteNow(format, args...)
}

// noteNow is write under the lock.
func (st *stage) noteNow(format string, args ...any) {
	st.note(time.Since(st.begin), format, args...)
}

// add adds what the queue is given by whom.
func (st *stage) add(by adder, which int) {
	for i, p := range st.plans {
		if st.kind == ofQueue && p.by == by && p.which == which {
			st.queue.Add(i, st.task(i))
		}
	}
}

// later does f at a moment; at once if that is 0.
func (st *stage) later(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	st.outside.Go(func() {
		st.pause(d, nil)
		f()
	})
}

// pause takes time, but ends when done does, and tells so.
func (st *stage) pause(d time.Duration, done <-chan struct{}) (interrupted bool) {
	if d < time.Microsecond && (st.real || d == 0) {
		for range d {
			select {
			case <-done:
				return true
			default:
				runtime.Gosched()
			}
		}
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-done:
		return true
	}
}

// name is an error, or the value of a panic, in the words of the oracle. Errors
// are known by identity.
func (st *stage) name(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case boom:
		if v.s == st.scenario {
			return boomed(v.task)
		}
	case *await.TaskError:
		return fmt.Sprintf("task %d: %s", v.Index, st.name(v.Err))
	case *await.PanicError:
		return "panic: " + st.name(v.Value)
	case error:
		switch {
		case v == await.ErrGoexit: //nolint:errorlint // the very value
			return "Goexit"
		case v == await.ErrStopped: //nolint:errorlint // the very value
			return "stopped"
		case errors.Is(v, await.ErrNotStarted) && errors.Is(v, errCaller):
			return "not started: the caller"
		}
	}
	return fmt.Sprint(v)
}
