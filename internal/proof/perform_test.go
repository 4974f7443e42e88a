//go:build !explore

package proof_test

import (
	"context"
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
)

// performance is a scenario with the library in it. It notes what happens, and
// complains of what must not happen whatever the scenario.
type performance struct {
	*scenario
	begin   time.Time
	limiter *await.Limiter
	queue   await.Queue[int, int]
	caller  context.Context         // the context of the call
	cancel  context.CancelCauseFunc // ends it
	woken   chan struct{}           // closed by the first function of OnCancel
	outside sync.WaitGroup          // goroutines that are neither the call's nor the engine's
	closed  atomic.Bool             // tasks do nothing anymore
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
	p.call(ctx, &performedRun{}, tasks)
	if p.again {
		p.call(context.WithoutCancel(ctx), &performedRun{second: true}, tasks)
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
		ctx, stop = context.WithTimeoutCause(ctx, p.expires, errCaller)
		p.caller = ctx
	default:
		p.later(p.expires, func() { p.cancel(errCaller) })
	}
	return ctx, stop
}

// call makes one run, and notes its end.
func (p *performance) call(ctx context.Context, r *performedRun, tasks []await.Task[int]) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		exited := true
		defer func() { p.ended(r, exited) }()
		func() {
			defer func() { p.caught(r, recover()) }()
			p.do(context.WithValue(ctx, runKey{}, r), r, tasks)
		}()
		exited = false
	}()
	<-done
}

// runKey is the key of the run in its context.
type runKey struct{}

// do ranges over the results, or calls the function that has no loop.
func (p *performance) do(ctx context.Context, r *performedRun, tasks []await.Task[int]) {
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
