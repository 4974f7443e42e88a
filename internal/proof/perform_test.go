package proof_test

import (
	"cmp"
	"context"
	"errors"
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
	"github.com/ascompleted/await/internal/tasktest"
)

// performance is a scenario with the library in it. It writes down what
// happens, and complains of what must not happen whatever the scenario.
type performance struct {
	*scenario
	begin   time.Time
	limiter *await.Limiter
	queue   await.Queue[int, int]
	caller  context.Context         // of the caller
	cancel  context.CancelCauseFunc // ends it
	woken   chan struct{}           // closed by the first function of OnCancel
	outside sync.WaitGroup          // goroutines that are neither the call's nor the engine's
	closed  atomic.Bool             // tasks do nothing any more
	real    bool                    // time is real: less than a microsecond is so many turns of other goroutines

	mu sync.Mutex // guards these
	history
	complaints []string
	added      []bool   // each task, to the Queue
	starts     []int    // of each task
	succeeded  []bool   // each task, with a value
	unread     int      // tasks that have started, and neither yielded nor panicked
	inside     int      // tasks that run
	offered    int      // tasks of the sequence
	asked      int      // of them, after the end of the caller's context
	discarded  []int    // values
	failures   []string // panics that the call must raise

	// Plain memory of the call's goroutine.
	results   []outcome // that the loops have had
	values    []int     // that Gather has returned
	exhausted bool      // the loop was not left early

	// Plain memory that the call passes on.
	returned []outcome // by each task
	stepped  int       // step of the sequence
}

// performedRun is one run of the call.
type performedRun struct {
	second  bool            // loop over the Queue
	ctx     context.Context // of the call
	task    context.Context // of its tasks; nil if none has started
	running int             // tasks
	hooks   int             // functions of OnCancel that were called
	hooked  int             // of those, have ended
	feeding bool            // the sequence has begun and not ended
	over    bool            // control has left the loop
	raised  string          // what the call has panicked with
}

// perform performs a scenario in a bubble of its own.
func (s *scenario) perform(t *testing.T) *performance {
	t.Helper()
	p := newPerformance(s)
	defer func() {
		if v := recover(); v != nil { // a deadlock, for one
			p.complain("the bubble: %v", v)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		p.begin = time.Now()
		p.woken = make(chan struct{})
		p.calls(t.Context())
		time.Sleep(settled - time.Since(p.begin)) // what the call has left behind ends
		synctest.Wait()
		p.epilogue(t.Context())
	})
	return p
}

func newPerformance(s *scenario) *performance {
	n := len(s.plans)
	p := &performance{scenario: s, added: make([]bool, n), starts: make([]int, n), succeeded: make([]bool, n), returned: make([]outcome, n)}
	if s.within > 0 {
		p.limiter = await.NewLimiter(s.within)
	}
	return p
}

// boom is how something fails, or what it panics with.
type boom struct {
	what string
	s    *scenario
}

// Error names the scenario too, should that crash the program.
func (b boom) Error() string { return b.what + " in " + b.s.name }

func (p *performance) boom(what string) boom { return boom{what, p.scenario} }

var errCaller = errors.New("the caller")

func (p *performance) options(r *performedRun) []await.Option {
	var opts []await.Option
	for _, o := range []struct {
		given bool
		opt   func() await.Option
	}{
		{p.limit > 0, func() await.Option { return await.Limit(p.limit) }},
		{p.buffer != unset, func() await.Option { return await.Buffer(p.buffer) }},
		{p.within > 0, func() await.Option { return await.Within(p.limiter) }},
		{p.detach, await.Detach},
		{p.recovers, await.Recover},
		{p.named, func() await.Option { return await.Name("scenario") }},
		{p.discards, func() await.Option { return await.OnDiscard(func(value int) { p.discard(r, value) }) }},
	} {
		if o.given {
			opts = append(opts, o.opt())
		}
	}
	for i := range p.hooks {
		opts = append(opts, await.OnCancel(func() { p.hook(r, i) }))
	}
	return opts
}

// calls makes the call, each run on a goroutine of its own, which it may end.
func (p *performance) calls(ctx context.Context) {
	ctx, cancel := p.callerContext(ctx)
	defer cancel()
	tasks := make([]await.Task[int], len(p.plans))
	for i, plan := range p.plans {
		tasks[i] = p.task(i)
		switch {
		case p.kind != ofQueue:
		case plan.by == byCaller:
			p.addTask(i)
		case plan.by == byOutside:
			p.later(plan.when, func() { p.addTask(i) })
		}
	}
	p.call(&performedRun{ctx: ctx}, tasks)
	if p.again {
		p.call(&performedRun{ctx: context.WithoutCancel(ctx), second: true}, tasks)
	}
}

// callerContext is the context of the call. It ends with a cause.
func (p *performance) callerContext(ctx context.Context) (context.Context, func()) {
	ctx, p.cancel = context.WithCancelCause(ctx)
	p.caller = ctx
	stop := func() { p.cancel(nil) }
	switch {
	case p.expires == never:
	case p.deadline:
		ctx, stop = context.WithTimeoutCause(ctx, p.expires, errCaller) //nolint:govet // the first is called too
		p.caller = ctx
	default:
		p.later(p.expires, func() { p.cancel(errCaller) })
	}
	return ctx, stop
}

// call makes one run, and writes down its end.
func (p *performance) call(r *performedRun, tasks []await.Task[int]) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		exited := true
		defer func() { p.ended(r, exited) }()
		func() {
			defer func() { p.caught(r, recover()) }()
			p.ranges(r, tasks)
		}()
		exited = false
	}()
	<-done
}

// runKey is the key of the run in its context.
type runKey struct{}

// ranges ranges the loop, or calls the function that has none.
func (p *performance) ranges(r *performedRun, tasks []await.Task[int]) {
	ctx := context.WithValue(r.ctx, runKey{}, r)
	opts := p.options(r)
	switch p.kind {
	case ofAsCompleted:
		p.loop(r, await.AsCompleted(ctx, tasks, opts...))
	case ofInOrder:
		p.loop(r, await.InOrder(ctx, tasks, opts...))
	case ofAsCompletedSeq:
		p.loop(r, await.AsCompletedSeq(ctx, p.sequence(r), opts...))
	case ofInOrderSeq:
		p.loop(r, await.InOrderSeq(ctx, p.sequence(r), opts...))
	case ofQueue:
		p.loop(r, p.queue.AsCompleted(ctx, opts...))
	case ofGather:
		values, err := await.Gather(ctx, tasks, opts...)
		p.values = values
		p.write("the call returns %v %q", values, p.name(err))
	case ofSettle:
		for i, result := range await.Settle(ctx, tasks, opts...) {
			p.results = append(p.results, outcome{i, result.Value, p.name(result.Err)})
		}
		p.exhausted = true
		p.write("the call returns %+v", p.results)
	}
}

// loop ranges results, itself or through iter.Pull2.
func (p *performance) loop(r *performedRun, results iter.Seq2[int, await.Result[int]]) {
	if p.pulled {
		next, stop := iter.Pull2(results)
		defer stop()
		results = func(yield func(int, await.Result[int]) bool) {
			for key, result, ok := next(); ok && yield(key, result); key, result, ok = next() {
			}
		}
	}
	for key, result := range results {
		if p.body(r, key, result) {
			continue
		}
		switch p.how {
		case panics:
			panic(p.boom(ofBody))
		case exits:
			runtime.Goexit()
		}
		return
	}
	p.exhausted = true
}

// body is the loop's body. It reports whether the loop goes on.
func (p *performance) body(r *performedRun, key int, result await.Result[int]) bool {
	p.mu.Lock()
	got := outcome{key, result.Value, p.name(result.Err)}
	n := len(p.results)
	p.results = append(p.results, got)
	p.noteNow("result %d: %+v%s", n, got, p.length())
	ran := got.err != notStarted(theCaller)
	abandoned := got.err == leftBehind(theCaller) // it may be about to start, or still be writing
	if ran != (p.starts[key] > 0) && !abandoned {
		p.complain("task %d has started %d times, and its error is %q", key, p.starts[key], got.err)
	}
	if ran {
		p.unread--
	}
	if p.unread > p.bound() && !(r.second && p.detach) { // what the first loop has left behind counts as yielded
		p.complain("%d tasks are started and not yielded", p.unread)
	}
	p.mu.Unlock()
	if ran && !abandoned && got != p.returned[key] {
		p.complain("task %d has returned %+v, and yields %+v", key, p.returned[key], got)
	}
	p.pause(p.bodies[n], nil)
	if p.kind == ofQueue {
		p.write("after result %d%s", n, p.length())
	}
	if n == p.cancels {
		p.cancel(errCaller)
	}
	if n == p.leaves {
		return false
	}
	p.add(byBody, n)
	return true
}

// task is a task as planned.
func (p *performance) task(i int) await.Task[int] {
	plan := p.plans[i]
	return func(ctx context.Context) (int, error) {
		if p.closed.Load() {
			return 0, nil
		}
		r := p.enter(ctx, i)
		how := plan.ends
		var done <-chan struct{}
		if plan.lingers != never {
			done = ctx.Done()
		}
		if interrupted := p.pause(plan.lasts, done); interrupted {
			p.pause(plan.lingers, nil)
			how = plan.gives
		}
		if how != panics || p.recovers {
			p.add(byTask, i)
		}
		return p.exit(ctx, r, i, how)
	}
}

// enter is the start of a task.
func (p *performance) enter(ctx context.Context, i int) *performedRun {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteNow("task %d starts", i)
	r := ctx.Value(runKey{}).(*performedRun)
	r.task = ctx
	r.running++
	p.inside++
	p.starts[i]++
	p.unread++
	if r.running > cmp.Or(p.limit, unlimited) {
		p.complain("%d tasks run, with a limit of %d", r.running, p.limit)
	}
	if p.inside > cmp.Or(p.within, unlimited) {
		p.complain("%d tasks run, within a limiter of %d", p.inside, p.within)
	}
	if r.over && !p.detach {
		p.complain("task %d starts after the end", i)
	}
	return r
}

// exit is the end of a task.
func (p *performance) exit(ctx context.Context, r *performedRun, i int, how ending) (value int, err error) {
	cause := context.Cause(ctx)
	failure := p.boom(ofTask(i))
	switch how {
	case succeeds:
		value = valueOf(i)
	case fails:
		err = failure
	case both:
		value, err = valueOf(i), failure
	case givesUp:
		err = cause
	case panics:
		err = &await.PanicError{Key: i, Value: failure}
	case exits:
		err = await.ErrGoexit
	}
	p.mu.Lock()
	r.running--
	p.inside--
	p.succeeded[i] = how == succeeds
	if how == panics && !p.recovers {
		p.failures = append(p.failures, failure.what)
		p.unread--
	}
	p.noteNow("task %d %v; its context: %q%s", i, how, p.name(cause), p.length())
	p.mu.Unlock()
	p.returned[i] = outcome{i, value, p.name(err)} // after the mutex, which would make it visible
	switch how {
	case panics:
		panic(failure)
	case exits:
		runtime.Goexit()
	}
	return value, err
}

// sequence is the sequence of the tasks.
func (p *performance) sequence(r *performedRun) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		p.feeding(r, true)
		defer p.feeding(r, false)
		for ; ; p.stepped++ {
			k := p.stepped
			p.beginStep(k)
			if interrupted := p.pause(p.steps[k], p.woken); interrupted {
				return
			}
			var task await.Task[int]
			switch k {
			case p.breaks:
				p.breakStep(k)
			case len(p.plans):
				return
			default:
				task = p.task(k)
			}
			p.offer()
			if !yield(k, task) {
				p.cleanUp(yield)
				return
			}
		}
	}
}

// feeding is the begin or the end of the sequence.
func (p *performance) feeding(r *performedRun, begins bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.feeding = begins
	switch {
	case begins:
	case p.callerEnded():
		p.note(settled, "the sequence has ended")
	default:
		p.noteNow("the sequence has ended")
	}
}

// beginStep is the begin of a step of the sequence.
func (p *performance) beginStep(k int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.callerEnded() {
		p.noteNow("step %d", k)
	} else if p.asked++; p.asked > 1 {
		p.complain("step %d is one too many after the end of the caller's context", k)
	}
}

// callerEnded reports whether the caller's context has ended.
func (p *performance) callerEnded() bool {
	return context.Cause(p.caller) == errCaller //nolint:errorlint // the very cause
}

// offer counts the tasks of the sequence.
func (p *performance) offer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offered++
}

// breakStep fails, unless it is the nil task that does.
func (p *performance) breakStep(k int) {
	switch p.broken {
	case panics:
		p.fail(ofStep)
		panic(p.boom(ofStep))
	case exits:
		p.fail(goexit)
		runtime.Goexit()
	case fails:
		p.fail(nilTask(k))
	}
}

// cleanUp is what the sequence does when yield has returned false.
func (p *performance) cleanUp(yield func(int, await.Task[int]) bool) {
	p.pause(p.cleanup, nil)
	switch p.cleaned {
	case panics:
		p.fail(ofCleanup)
		panic(p.boom(ofCleanup))
	case exits:
		p.fail(goexit)
		runtime.Goexit()
	case fails:
		p.fail(yieldsAgain)
		yield(none, p.task(0))
	}
}

// fail registers a panic of the sequence.
func (p *performance) fail(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, what)
}

// hook is a function given to OnCancel.
func (p *performance) hook(r *performedRun, i int) {
	p.mu.Lock()
	p.noteNow("OnCancel %d is called", i)
	if want := r.hooks; i != want || r.hooked != want {
		p.complain("OnCancel %d is called, and it is time for %d; %d have ended", i, want, r.hooked)
	}
	r.hooks++
	if r.over {
		p.complain("OnCancel %d is called after the end", i)
	}
	p.mu.Unlock()
	if i == 0 && p.wakes {
		close(p.woken)
	}
	p.pause(p.hooks[i].lasts, nil)
	p.mu.Lock()
	r.hooked++
	p.mu.Unlock()
	switch p.hooks[i].ends {
	case panics:
		panic(p.boom(ofHook))
	case exits:
		runtime.Goexit()
	}
}

// discard is the function given to OnDiscard.
func (p *performance) discard(r *performedRun, value int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.discarded)
	p.discarded = append(p.discarded, value)
	if p.detach { // perhaps several at once
		p.noteNow("value %d is discarded", value)
	} else {
		p.noteNow("discard %d: value %d", n, value)
		if r.running > 0 || r.feeding || r.hooked < len(p.hooks) || r.over {
			p.complain("value %d is discarded while something runs, or after the end", value)
		}
	}
	if n == p.spoiled {
		panic(p.boom(ofDiscard))
	}
}

// ended is the end of one run.
func (p *performance) ended(r *performedRun, exited bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.over = true
	if exited {
		p.noteNow("the call's goroutine exits")
	}
	if r.task != nil {
		p.noteNow("the tasks' context has ended: %q", p.name(context.Cause(r.task)))
	}
	p.noteNow("the call ends%s", p.length())
	if !p.detach && (r.running > 0 || r.feeding) {
		p.complain("after the end %d tasks run, and the sequence: %v", r.running, r.feeding)
	}
	if r.hooks != len(p.hooks) || r.hooked != len(p.hooks) {
		p.complain("of %d functions of OnCancel %d were called, and %d have ended", len(p.hooks), r.hooks, r.hooked)
	}
	if !p.detach && (len(p.failures) > 0) != strings.HasPrefix(r.raised, "panic of ") &&
		!strings.HasSuffix(r.raised, ofHook) && !strings.HasSuffix(r.raised, ofDiscard) {
		p.complain("%q panic, and the call raises %q", p.failures, r.raised)
	}
	p.failures = nil
}

// caught is what the call panics with, or nil.
func (p *performance) caught(r *performedRun, v any) {
	if v == nil {
		return
	}
	r.raised = p.name(v)
	others := []string{}
	if err, ok := v.(*await.PanicError); ok {
		if _, ok := err.Value.(boom); ok && !strings.Contains(string(err.Stack), "proof_test.(*performance)") {
			p.complain("the panic has not the stack of its task: %s", err.Stack)
		}
		text := err.Error()
		for i := range p.plans {
			others = append(others, ofTask(i))
		}
		others = slices.DeleteFunc(append(others, ofStep, ofCleanup), func(what string) bool {
			return err.Value == p.boom(what) || !strings.Contains(text, p.boom(what).Error())
		})
	}
	p.write("the call raises %s, along with %v", r.raised, others)
}

// epilogue looks at what is left when everything has ended. What is in the
// Queue comes out of it, in order, and all places of the limiter are free.
func (p *performance) epilogue(ctx context.Context) {
	p.closed.Store(true)
	if p.kind == ofQueue {
		left := []outcome{}
		for key, result := range p.queue.AsCompleted(ctx, await.Limit(1)) {
			left = append(left, outcome{key, result.Value, p.name(result.Err)})
		}
		p.results = append(p.results, left...)
		p.mu.Lock()
		p.note(settled, "left in the queue: %+v", left)
		p.mu.Unlock()
	}
	if p.within > 0 {
		var in sync.WaitGroup // it hangs unless all places are free
		in.Add(p.within)
		await.Settle(ctx, tasktest.Copies(p.within, func(context.Context) (int, error) {
			in.Done()
			in.Wait()
			return 0, nil
		}), await.Within(p.limiter))
	}
}

// wrongs are the complaints, and what must not be whatever the scenario.
func (p *performance) wrongs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	yields, reached := make([]int, len(p.plans)), make([]int, len(p.plans))
	for n, out := range p.results {
		yields[out.key]++
		if out.err == "" {
			reached[out.key]++
		}
		if p.kind.ordered() && out.key != n {
			p.complain("result %d is that of task %d", n, out.key)
		}
	}
	for i, value := range p.values {
		if value != 0 {
			reached[i]++
		}
	}
	for _, value := range p.discarded {
		reached[value-valueOf(0)]++
	}
	for i := range p.plans {
		if p.starts[i] > 1 || yields[i] > 1 || p.mustYield(i) && yields[i] == 0 {
			p.complain("task %d has started %d times, and yields %d times", i, p.starts[i], yields[i])
		}
		if p.discards && p.succeeded[i] && reached[i] != 1 {
			p.complain("value %d has reached the caller or OnDiscard %d times", valueOf(i), reached[i])
		}
	}
	return strings.Join(p.complaints, "\n")
}

// mustYield reports whether a loop, or the epilogue, had to yield task i.
func (p *performance) mustYield(i int) bool {
	raised := p.plans[i].ends == panics || p.plans[i].gives == panics // perhaps
	switch {
	case p.kind == ofQueue:
		return p.added[i] && (p.starts[i] == 0 || !p.detach && (p.recovers || !raised))
	case !p.exhausted:
		return false
	case p.kind.sequence() && p.detach:
		return p.starts[i] > 0
	case p.kind.sequence():
		return i < p.offered
	}
	return true
}

func (p *performance) complain(format string, args ...any) {
	p.complaints = append(p.complaints, fmt.Sprintf(format, args...))
}

// write notes what happens now.
func (p *performance) write(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteNow(format, args...)
}

// noteNow is write under the lock.
func (p *performance) noteNow(format string, args ...any) {
	p.note(time.Since(p.begin), format, args...)
}

// length is Len of the Queue, if there is one.
func (p *performance) length() string {
	if p.kind != ofQueue {
		return ""
	}
	return fmt.Sprintf("; queued: %d", p.queue.Len())
}

// add gives the Queue its tasks of that kind.
func (p *performance) add(by adder, which int) {
	for i, plan := range p.plans {
		if p.kind == ofQueue && plan.by == by && plan.which == which {
			p.addTask(i)
		}
	}
}

// addTask adds a task to the Queue.
func (p *performance) addTask(i int) {
	p.mu.Lock()
	p.added[i] = true
	p.mu.Unlock()
	p.queue.Add(i, p.task(i))
}

// later does f at a moment; at once if that is 0.
func (p *performance) later(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	p.outside.Go(func() {
		p.pause(d, nil)
		f()
	})
}

// pause takes time, but ends when done does, and reports that.
func (p *performance) pause(d time.Duration, done <-chan struct{}) (interrupted bool) {
	if d < time.Microsecond && (p.real || d == 0) {
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
// are known by identity, but for those that match several.
func (p *performance) name(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case boom:
		if v.s == p.scenario {
			return v.what
		}
	case *await.TaskError:
		return failureOf(v.Index, p.name(v.Err))
	case *await.PanicError:
		if value := p.name(v.Value); strings.HasSuffix(value, " is nil") {
			return panicOf(nil, value) // it is a task's, or the sequence's
		}
		return panicOf(v.Key, p.name(v.Value))
	case runtime.Error:
		if strings.Contains(v.Error(), "range function continued iteration") {
			return yieldsAgain
		}
	case error:
		switch v {
		case errCaller:
			return theCaller
		case await.ErrGoexit:
			return goexit
		case await.ErrStopped:
			return stopped
		}
		ofCaller := errors.Is(v, errCaller) && errors.Is(v, p.caller.Err())
		switch {
		case ofCaller && errors.Is(v, await.ErrNotStarted):
			return notStarted(theCaller)
		case ofCaller:
			return leftBehind(theCaller)
		}
	}
	return p.nameNilTask(fmt.Sprint(v))
}

// nameNilTask is the text of a panic for a nil task, or the text.
func (p *performance) nameNilTask(text string) string {
	for k := range p.plans {
		if strings.HasPrefix(text, "await: ") && strings.HasSuffix(text, fmt.Sprintf("task with key %d is nil", k)) {
			return nilTask(k)
		}
	}
	return text
}
