//go:build explore

package proof_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"strings"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/proof/explorer"
)

var (
	errBody  = errors.New("the body panics")
	errBoom  = errors.New("boom")
	errCause = errors.New("the caller has lost patience")
)

// most is more tasks than a scenario has.
const most = 6

// world is what the tasks, the sequence and the loop's body of one run share.
// It watches over the contract at each step and at the end.
type world struct {
	object explorer.Object

	// What the call promises.
	n        int  // tasks
	limit    int  // at once; 0 is any number
	waits    int  // tasks of a sequence that wait for a permit
	ahead    int  // tasks started and not yet yielded; 0 is any number
	inTurn   bool // tasks run one after the other, in input order
	ordered  bool // results come in input order
	detached bool
	keeps    bool // results that the loop has not had are for the next one
	recovers bool
	gathers  bool // the first error ends the call
	discards bool // OnDiscard is set
	hooks    bool // OnCancel is set
	calm     bool // nothing ends the loop before all is done

	// What has happened.
	ctx       context.Context // of a task
	canceled  bool            // the caller's context ends
	left      bool            // the body has left the loop
	inBody    bool
	raises    bool // a task has panicked before the last body returned: there is no other
	failed    bool // a task of a Gather has failed
	again     bool // this is the second loop over a queue, and tasks just return
	over      bool // the loop has ended
	begun     int
	ended     int
	active    int
	late      int // begun after the end of their context
	offered   int // by the sequence
	exhausted bool
	pulledOn  int // steps of the sequence after the end of the caller's context
	inStep    bool
	yielded   int
	hooked    int // calls of OnCancel
	inHook    bool
	ran       [most]int
	value     [most]bool // the task has returned a value and no error
	boom      [most]bool // the task has panicked
	seqBoom   error      // with which the sequence has panicked
	got       [most]int
	received  [most]bool // with its value
	skipped   [most]bool // its result said that it never ran
	dropped   [most]int  // calls of OnDiscard
	raised    any        // by the call
	caller    context.Context
	why       error // the cause of its end
	queue     await.Queue[int, int]
}

// step is a point of the user's code. Where nothing is counted that depends on
// the order, tasks do not see each other.
func (w *world) step(kind string) {
	explorer.Unlocked()
	explorer.Point(kind, &w.object, w.limit > 0 || w.ahead > 0)
}

// until waits until ready holds. If a promise of the contract is that it does,
// a deadlock shows that it is broken.
func (w *world) until(kind string, ready func() bool) {
	explorer.Unlocked()
	explorer.Until(kind, &w.object, ready)
}

// how is what a task does between its first step and its last.
type how func(ctx context.Context, w *world, i int) error

func plain(context.Context, *world, int) error   { return nil }
func failing(context.Context, *world, int) error { return errBoom }
func exiting(context.Context, *world, int) error { runtime.Goexit(); return nil }
func panicking(_ context.Context, w *world, i int) error {
	w.boom[i] = true
	panic(errBoom)
}

// obeying waits for the end of its context, and returns its cause.
func obeying(ctx context.Context, w *world, _ int) error {
	explorer.Unlocked()
	explorer.AwaitDone(ctx)
	return context.Cause(ctx)
}

// deaf waits for the end of its context, and then succeeds.
func deaf(ctx context.Context, _ *world, _ int) error {
	explorer.AwaitDone(ctx)
	return nil
}

// stuck goes on only when the loop has ended: it must not be waited for.
func stuck(_ context.Context, w *world, _ int) error {
	w.until("stuck", func() bool { return w.over })
	return nil
}

// meeting waits until so many tasks have begun: they must run at once.
func meeting(begun int) how {
	return func(_ context.Context, w *world, _ int) error {
		w.until("meet", func() bool { return w.begun >= begun })
		return nil
	}
}

// read waits until the loop has so many results.
func read(yielded int) how {
	return func(_ context.Context, w *world, _ int) error {
		w.until("read", func() bool { return w.yielded >= yielded })
		return nil
	}
}

// chained waits for the next task to begin, or for the end of the context.
func chained(ctx context.Context, w *world, i int) error {
	w.until("chain", func() bool { return w.ran[min(i+1, w.n-1)] > 0 || explorer.IsDone(ctx) })
	explorer.Ended(ctx)
	return nil
}

// lazy waits until nothing else goes on. Then as many tasks run as the limit
// and the buffer allow.
func lazy(_ context.Context, w *world, _ int) error {
	explorer.Unlocked()
	explorer.Idle()
	want := w.n - w.ended
	if w.limit > 0 {
		want = min(want, w.limit)
	}
	if w.ahead > 0 {
		want = min(want, w.ahead-(w.ended-w.yielded))
	}
	if w.active != want {
		explorer.Fail("%d tasks run, and %d could", w.active, want)
	}
	return nil
}

// hooked waits for OnCancel.
func hooked(_ context.Context, w *world, _ int) error {
	w.until("hooked", func() bool { return w.hooked > 0 })
	return nil
}

// task is task i.
func (w *world) task(i int, do how) await.Task[int] {
	return func(ctx context.Context) (int, error) {
		w.step("begin")
		w.ctx = ctx
		w.begun++
		w.active++
		w.ran[i]++
		if explorer.Ended(ctx) || w.callerEnded() {
			w.late++
		}
		switch {
		case w.over && !w.detached:
			explorer.Fail("task %d begins after the end of the loop", i)
		case w.ran[i] > 1:
			explorer.Fail("task %d runs again", i)
		case w.limit > 0 && w.active > w.limit:
			explorer.Fail("%d tasks run at once", w.active)
		case w.limit > 0 && w.late > w.limit:
			explorer.Fail("%d tasks begin after the end of their context", w.late)
		case w.ahead > 0 && w.begun-w.yielded > w.ahead:
			explorer.Fail("%d tasks run ahead of the loop", w.begun-w.yielded)
		case w.inTurn && i > 0 && w.ran[i-1] == 0:
			explorer.Fail("task %d begins before task %d", i, i-1)
		}
		defer w.ends(i)
		var err error
		if !w.again {
			err = do(ctx, w, i)
		}
		w.step("end")
		if w.calm && explorer.Ended(ctx) {
			explorer.Fail("task %d is canceled", i)
		}
		w.value[i] = err == nil
		w.failed = w.failed || w.gathers && err != nil
		return i + 1, err // not the zero value
	}
}

// callerEnded reports whether the caller's context has ended.
func (w *world) callerEnded() bool { return w.caller != nil && explorer.Ended(w.caller) }

func (w *world) ends(i int) {
	w.active--
	w.ended++
	w.failed = w.failed || w.gathers && !w.value[i] // by runtime.Goexit
	if w.over && !w.detached && !explorer.Aborting() {
		explorer.Fail("task %d ends after the end of the loop", i)
	}
}

// tasks are n tasks that do as told by their numbers, or nothing.
func (w *world) tasks(dos map[int]how) []await.Task[int] {
	tasks := make([]await.Task[int], w.n)
	for i := range tasks {
		do := dos[i]
		if do == nil {
			do = dos[-1]
		}
		if do == nil {
			do = plain
		}
		tasks[i] = w.task(i, do)
	}
	return tasks
}

// sequence offers tasks, with a step before each and one at the end. do, if not
// nil, is called in each step.
func (w *world) sequence(tasks []await.Task[int], do func(w *world, i int)) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		defer func() {
			if !explorer.Aborting() {
				w.pull("cleanup")
			}
			w.inStep = false
		}()
		for i, task := range tasks {
			w.pull("pull")
			if do != nil {
				do(w, i)
			}
			w.offered++
			ahead := w.offered - w.yielded
			if w.ended == w.begun && w.canceled {
				ahead-- // the one that says that the loop was cut short
			}
			if w.ahead > 0 && ahead > w.ahead && !w.canceled {
				explorer.Fail("%d tasks are pulled ahead of the loop", ahead)
			}
			if w.limit > 0 && w.offered-w.ended > w.limit+w.waits && !w.canceled {
				explorer.Fail("%d tasks are pulled and have not ended", w.offered-w.ended)
			}
			w.inStep = false
			if !yield(i, task) {
				return
			}
		}
		w.pull("pulled")
		w.exhausted = true
	}
}

func (w *world) pull(kind string) {
	w.inStep = true
	w.step(kind)
	if w.over && !w.detached {
		explorer.Fail("the sequence runs after the end of the loop")
	}
	if kind == "pull" && w.callerEnded() {
		if w.pulledOn++; w.pulledOn > 1 {
			explorer.Fail("the sequence is asked for %d tasks after the end of the context", w.pulledOn)
		}
	}
}

// onCancel is the function of OnCancel.
func (w *world) onCancel() {
	w.step("OnCancel")
	w.hooked++
	w.inHook = true
	switch {
	case w.hooked > 1:
		explorer.Fail("OnCancel is called again")
	case w.ctx != nil && !explorer.Ended(w.ctx):
		explorer.Fail("OnCancel is called before the end of the context")
	case w.over:
		explorer.Fail("OnCancel is called after the end of the loop")
	case !w.left && !w.canceled && !w.panicked() && !w.failed && (w.inBody || w.yielded < w.n && w.ended < w.n):
		explorer.Fail("OnCancel is called before all is done")
	}
	w.step("OnCancel returns")
	w.inHook = false
}

// onDiscard is the function of OnDiscard.
func (w *world) onDiscard(value int) {
	i := value - 1
	w.step("OnDiscard")
	w.dropped[i]++
	switch {
	case w.dropped[i] > 1:
		explorer.Fail("value %d is discarded twice", i)
	case !w.value[i]:
		explorer.Fail("value %d is discarded, and there is none", i)
	case w.received[i]:
		explorer.Fail("value %d is discarded, and the loop has it", i)
	case w.detached:
	case w.over:
		explorer.Fail("value %d is discarded after the end", i)
	case explorer.Thread() != 0:
		explorer.Fail("value %d is discarded on another goroutine", i)
	case w.active > 0 || w.inStep || w.inHook || w.hooks && w.hooked == 0:
		explorer.Fail("value %d is discarded before all have ended", i)
	}
}

// result is what the loop's body does first.
func (w *world) result(i int, r await.Result[int]) {
	w.yielded++ // before the step: the engine has counted it
	if w.raises {
		explorer.Fail("result %d comes, and a panic is to be raised", i)
	}
	w.inBody = true
	w.step("body")
	if w.got[i]++; w.got[i] > 1 {
		explorer.Fail("result %d comes twice", i)
	}
	w.received[i] = r.Err == nil
	if w.ordered || w.inTurn && !w.keeps {
		for j := range i {
			if w.got[j] == 0 {
				explorer.Fail("result %d comes before result %d", i, j)
			}
		}
	}
	w.outcome(i, r)
}

// bodyEnds is what the loop's body does last.
func (w *world) bodyEnds() {
	w.inBody = false
	if w.ctx != nil && explorer.Ended(w.ctx) {
		w.raises = isPanic(context.Cause(w.ctx))
	}
}

// outcome checks a result.
func (w *world) outcome(i int, r await.Result[int]) {
	var panicked *await.PanicError
	switch {
	case w.skipped[i]: // checked before
	case errors.Is(r.Err, await.ErrNotStarted):
		w.skipped[i] = true
		w.interrupted(r.Err)
		if w.ran[i] > 0 {
			explorer.Fail("result %d says that it never ran", i)
		}
	case w.detached && w.canceled && errors.Is(r.Err, w.why): // it was left behind
		w.interrupted(r.Err)
	case w.ran[i] == 0:
		explorer.Fail("result %d of a task that never ran: %v", i, r.Err)
	case errors.As(r.Err, &panicked): // its own, or the cause of the end of its context
		if !w.panicked() || !same(panicked.Value, errBoom) && !same(panicked.Value, await.ErrGoexit) || !strings.Contains(string(panicked.Stack), "panicking") {
			explorer.Fail("result %d is a panic: %v", i, r.Err)
		}
	case r.Err == nil && (r.Value != i+1 || !w.value[i]):
		explorer.Fail("result %d has the value %d", i, r.Value)
	case r.Err != nil && w.value[i] && !w.detached:
		explorer.Fail("result %d has the error %v", i, r.Err)
	}
}

// interrupted checks the error of what the end of the caller's context has cut
// short.
func (w *world) interrupted(err error) {
	switch {
	case !w.canceled:
		explorer.Fail("the context has not ended, and there is %v", err)
	case !errors.Is(err, context.Canceled) || !errors.Is(err, w.why):
		explorer.Fail("%v does not match the cause of the context, or its error", err)
	}
}

// same reports whether two errors, or values of panics, are the same and not only
// alike.
func same(a, b any) bool { return a == b }

// isPanic reports whether err is a panic.
func isPanic(err error) bool {
	var p *await.PanicError
	return errors.As(err, &p)
}

// protect calls the library and keeps what it panics with.
func (w *world) protect(f func()) {
	defer func() {
		if !explorer.Aborting() {
			w.raised = recover()
		}
	}()
	f()
}

// end checks the state after the call. It is called on whatever way out.
func (w *world) end() {
	explorer.Unlocked()
	explorer.Until("over", &w.object, func() bool { return true })
	w.over = true
	if !w.detached {
		explorer.Seal()
		switch {
		case w.active > 0:
			explorer.Fail("the loop ends while tasks run")
		case w.inStep:
			explorer.Fail("the loop ends while the sequence runs")
		}
	}
	switch {
	case w.inHook:
		explorer.Fail("the loop ends while OnCancel runs")
	case w.hooks && w.hooked != 1:
		explorer.Fail("OnCancel is called %d times", w.hooked)
	case w.ctx != nil && !explorer.Ended(w.ctx):
		explorer.Fail("the loop ends, and the context of its tasks has not")
	}
	w.raisedRight()
	if w.detached {
		explorer.Until("all return", &w.object, func() bool { return w.active == 0 && !w.inStep })
	}
	for i := range w.n {
		if w.discards && w.value[i] && !w.received[i] {
			if w.detached {
				explorer.Until("discarded", &w.object, func() bool { return w.dropped[i] > 0 })
			}
			if w.dropped[i] == 0 {
				explorer.Fail("value %d is neither yielded nor discarded", i)
			}
		} else if w.dropped[i] > 0 {
			explorer.Fail("value %d is discarded, and the caller has it", i)
		}
	}
}

// panicked reports whether a task has panicked, or the sequence.
func (w *world) panicked() bool { return slices.Contains(w.boom[:], true) || w.seqBoom != nil }

// raisedRight checks that the panic of a task is raised, and nothing else.
func (w *world) raisedRight() {
	boom := w.panicked()
	err, ok := w.raised.(*await.PanicError)
	switch {
	case w.recovers && w.raised != nil:
		explorer.Fail("a panic was to be recovered: %v", w.raised)
	case w.recovers || w.detached && w.raised == nil:
	case !boom && same(w.raised, errBody): // by the body
	case boom && !ok:
		explorer.Fail("a task has panicked, and the call panics with %v", w.raised)
	case !boom && w.raised != nil:
		explorer.Fail("the call panics: %v", w.raised)
	case boom && err.Key == nil && same(err.Value, w.seqBoom):
	case boom && (err.Key == nil || !same(err.Value, errBoom) || !w.boom[err.Key.(int)]):
		explorer.Fail("the call panics with that of another task: %v", err)
	}
}

// complete checks that every task has one result.
func (w *world) complete() {
	for i := range w.n {
		if w.got[i] == 0 && !w.boom[i] {
			explorer.Fail("result %d is lost", i)
		}
	}
}

// completeSequence checks the same for a sequence, of which not all may have
// been offered.
func (w *world) completeSequence() {
	skipped := false
	for i := range w.offered {
		if w.got[i] == 0 && !w.detached {
			explorer.Fail("result %d is lost", i)
		}
		skipped = skipped || w.skipped[i]
	}
	switch {
	case w.offered < w.n && !w.canceled:
		explorer.Fail("the loop ends before the sequence")
	case w.canceled && !w.exhausted && !skipped && !w.detached:
		explorer.Fail("a loop that was cut short looks like one that has finished")
	}
}

// cause checks why the context of the tasks has ended.
func (w *world) cause() {
	if w.ctx == nil {
		return
	}
	cause := context.Cause(w.ctx)
	switch {
	case w.canceled && same(cause, w.why), isPanic(cause) && w.raised != nil, same(cause, await.ErrStopped) && (w.raised == nil || w.left):
	default:
		explorer.Fail("the cause of the tasks' context is %v", cause)
	}
}

// cancelable is a context that a thread of the scenario ends at some point.
func (w *world) cancelable() context.Context {
	ctx, cancel := explorer.WithCancel(context.Background())
	w.caller, w.why = ctx, errCause
	explorer.Go(func() {
		w.canceled = true
		cancel(errCause)
	})
	return ctx
}
