//go:build explore

package proof_test

import (
	"context"
	"errors"
	"iter"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/proof/explorer"
)

var specials = []scenario{
	{name: "AsCompleted/finish order", run: finishOrder},
	{name: "AsCompleted/stopped by iter.Pull2", run: pulled},
	{name: "AsCompletedSeq/of another loop, break at 1", run: stages},
	{name: "First/one wins", run: first},
	{name: "First/all fail", run: firstFails},
	{name: "Gather/the first error ends it, limit 1", run: failFast(await.Limit(1))},
	{name: "Gather/the first error ends it, limiter 1", run: func() { failFast(await.Within(await.NewLimiter(1)))() }},
	{name: "Queue/the body adds", run: bodyAdds},
	{name: "Queue/tasks add, limit 1", run: func() { tasksAdd(await.Limit(1)) }},
	{name: "Queue/tasks add", run: func() { tasksAdd() }},
	{name: "Queue/another goroutine adds", run: func() { othersAdd(false, nil) }},
	{name: "Queue/another goroutine adds, limit 1, buffer 0", run: func() { othersAdd(false, nil, await.Limit(1), await.Buffer(0)) }},
	{name: "Queue/another goroutine adds, break at 1", run: func() { othersAdd(true, nil) }},
	{name: "Queue/another goroutine adds, ends", run: func() { othersAdd(false, cancelable, await.Limit(1)) }},
	{name: "Queue/another goroutine adds, detached, break at 1", run: func() { othersAdd(true, nil, await.Detach()) }},
	{name: "Queue/two loops", run: twoLoops},
	{name: "Queue/ends and tells late, and then another goroutine adds", run: addsLate},
	{name: "Queue/another goroutine asks for Len, break at 1", run: asksLen},
	{name: "Queue/detached, ends, a task panics late", run: panicsLate},
	{name: "Limiter/two calls", run: func() { share(2, 1, nil) }},
	{name: "Limiter/two calls, one ends", run: func() { share(1, 1, cancelable) }},
	{name: "Limiter/nested", run: func() { nested(1, 2, 1, plain, false) }},
	{name: "Limiter/nested, two inside", run: func() { nested(1, 1, 2, plain, false) }},
	{name: "Limiter/nested, two permits, two meet", run: func() { nested(2, 1, 2, meeting(2), false) }},
	{name: "Limiter/nested, break at 1", run: func() { nested(1, 1, 2, plain, true) }},
	{name: "Limiter/nested, a task panics", run: func() { nested(1, 2, 1, panicking, false) }},
	{name: "Limiter/nested, tasks exit", run: func() { nested(1, 2, 1, exiting, false) }},
	{name: "Limiter/nested three deep", run: deep},
	{name: "Limiter/two calls in one task", run: func() { several(2, 1, plain) }},
	{name: "Limiter/two calls in one task, two permits, two meet", run: func() { several(2, 2, meeting(2)) }},
	{name: "Limiter/three calls in one task, two permits", run: func() { several(3, 2, plain) }, less: 1},
	{name: "Limiter/nested, detached", run: nestedDetached},
	{name: "Limiter/sequence, two permits, two meet", run: func() { limited(AsCompletedSeq, 2, all(meeting(2))) }},
	{name: "Limiter/sequence, a task exits", run: func() { limited(AsCompletedSeq, 1, map[int]how{0: exiting}) }},
	{name: "Limiter/sequence, a task panics", run: func() { limited(AsCompletedSeq, 1, map[int]how{0: panicking}) }},
	{name: "Limiter/queue, two permits, two meet", run: func() { limited(Queue, 2, all(meeting(2))) }},
	{name: "Limiter/list in input order, two permits, two meet", run: func() { limited(InOrder, 2, all(meeting(2))) }},
}

// newWorld is the world of a call.
func newWorld(c *call) *world {
	return &world{n: c.n, limit: c.limit, inTurn: c.limit == 1, detached: c.detach, recovers: c.recover}
}

// finishOrder: when the last of four tasks has begun under Limit(2), two of
// the others have ended and the first has not.
func finishOrder() {
	w := &world{n: 4, limit: 2}
	var order []int
	for i, r := range await.AsCompleted(context.Background(), w.tasks(map[int]how{0: meeting(4)}), await.Limit(2)) {
		w.result(i, r)
		order = append(order, i)
		if len(order) == 1 {
			w.until("slow", func() bool { return w.ended == 4 })
		}
		w.bodyEnds()
	}
	w.end()
	w.complete()
	if order[0] != 1 || order[1] != 2 {
		explorer.Fail("the order is %v", order)
	}
}

// pulled: stop of iter.Pull2 ends the loop.
func pulled() {
	w := &world{n: 2}
	next, stop := iter.Pull2(await.AsCompleted(context.Background(), w.tasks(map[int]how{1: obeying})))
	i, r, _ := next()
	w.result(i, r)
	w.left = true
	stop()
	w.end()
	w.cause()
}

// stages: the sequence of a loop is another loop, which OnCancel ends.
func stages() {
	first, second := &world{n: 2}, &world{n: 2}
	ctx, cancel := explorer.WithCancel(context.Background())
	tasks := second.tasks(map[int]how{1: obeying})
	sequence := func(yield func(int, await.Task[int]) bool) {
		defer func() {
			if !explorer.Aborting() {
				first.over = true
			}
		}()
		for i, r := range await.AsCompleted(ctx, first.tasks(map[int]how{1: obeying})) {
			first.step("body")
			if r.Err == nil && !yield(i, tasks[i]) {
				return
			}
		}
	}
	for i, r := range await.AsCompletedSeq(context.Background(), sequence, await.OnCancel(func() { cancel(errCause) })) {
		second.result(i, r)
		second.left = true
		break
	}
	second.end()
	if !first.over || first.active > 0 {
		explorer.Fail("the first stage has not ended")
	}
}

// first: of three that succeed one wins, and the others are discarded.
func first() {
	w := &world{n: 3, discards: true, left: true}
	i, v, err := await.First(await.AsCompleted(context.Background(), w.tasks(map[int]how{2: deaf}), await.OnDiscard(w.onDiscard)))
	if err != nil || v != i+1 || !w.value[i] {
		explorer.Fail("the winner is %d: %d, %v", i, v, err)
	}
	w.received[i] = true
	w.got[i]++
	w.end()
}

func firstFails() {
	w := &world{n: 2, yielded: 2}
	_, _, err := await.First(await.AsCompleted(context.Background(), w.tasks(map[int]how{0: failing, 1: exiting})))
	w.end()
	if !errors.Is(err, errBoom) || !errors.Is(err, await.ErrGoexit) {
		explorer.Fail("the error is %v", err)
	}
}

// failFast: when tasks run one after the other, and the first fails, no other
// begins.
func failFast(opt await.Option) func() {
	return func() {
		w := &world{n: 3, limit: 1, inTurn: true, gathers: true, yielded: 3}
		values, err := await.Gather(context.Background(), w.tasks(map[int]how{0: failing}), opt)
		w.end()
		w.gathered(values, err)
		if w.begun != 1 {
			explorer.Fail("%d tasks have begun", w.begun)
		}
	}
}

// bodyAdds: each body adds one more task.
func bodyAdds() {
	w := &world{n: 3, hooks: true}
	tasks := w.tasks(nil)
	w.queue.Add(0, tasks[0])
	for i, r := range w.queue.AsCompleted(context.Background(), await.OnCancel(w.onCancel)) {
		w.result(i, r)
		if i < 2 {
			w.queue.Add(i+1, tasks[i+1])
		}
		w.bodyEnds()
	}
	w.end()
	w.complete()
}

// tasksAdd: the first task adds two more.
func tasksAdd(opts ...await.Option) {
	w := &world{n: 3}
	tasks := w.tasks(nil)
	tasks[0] = w.task(0, func(_ context.Context, w *world, _ int) error {
		w.queue.Add(1, tasks[1])
		w.queue.Add(2, tasks[2])
		return nil
	})
	w.queue.Add(0, tasks[0])
	for i, r := range w.queue.AsCompleted(context.Background(), opts...) {
		w.result(i, r)
		w.bodyEnds()
	}
	w.end()
	w.complete()
}

// othersAdd: another goroutine adds a task at some point, perhaps when the
// loop is ending. What comes too late is for the next loop: this one does not
// start it only to cancel it.
func othersAdd(leave bool, in func(*world) context.Context, opts ...await.Option) {
	w := &world{n: 3, keeps: true, detached: len(opts) == 1 && leave, calm: !leave && in == nil}
	tasks := w.tasks(nil)
	w.queue.Add(0, tasks[0])
	w.queue.Add(1, tasks[1])
	added := false
	explorer.Go(func() {
		w.queue.Add(2, tasks[2])
		added = true
	})
	ctx := context.Background()
	if in != nil {
		ctx = in(w)
	}
	for i, r := range w.queue.AsCompleted(ctx, opts...) {
		w.result(i, r)
		w.left = leave
		w.bodyEnds()
		if leave {
			break
		}
	}
	w.end()
	w.until("added", func() bool { return added })
	w.rest()
	if !w.detached {
		w.complete()
	}
	for i := range w.n { // with Detach, the results of those that had been taken are lost
		w.until("ran", func() bool { return w.ran[i] > 0 })
	}
}

// twoLoops: while one loop ranges over a queue, no other can, and after it
// another goes on with what it has left.
func twoLoops() {
	w := &world{n: 3, keeps: true}
	for i, task := range w.tasks(nil) {
		w.queue.Add(i, task)
	}
	for i, r := range w.queue.AsCompleted(context.Background(), await.Limit(1), await.Buffer(1)) {
		w.result(i, r)
		w.protect(func() {
			for range w.queue.AsCompleted(context.Background()) {
				explorer.Fail("two loops at once")
			}
		})
		if w.raised == nil {
			explorer.Fail("a second loop does not panic")
		}
		w.left, w.inBody, w.raised = true, false, nil
		break
	}
	w.end()
	w.over, w.left, w.raises = false, false, false
	for i, r := range w.queue.AsCompleted(context.Background(), await.Limit(2)) {
		w.result(i, r)
		w.bodyEnds()
	}
	w.end()
	w.complete()
}

// addsLate: what is added after the end of the caller's context does not start,
// even if the tasks' context does not know of the end yet, and a worker rests.
func addsLate() {
	w := &world{n: 3, keeps: true}
	added := false
	tasks := w.tasks(map[int]how{0: func(_ context.Context, w *world, _ int) error {
		w.until("added", func() bool { return added })
		return nil
	}})
	ctx, cancel := explorer.WithCancel(context.Background())
	w.queue.Add(0, tasks[0])
	w.queue.Add(1, tasks[1])
	explorer.Go(func() {
		explorer.Idle() // one worker runs the first task, another one rests
		w.canceled, w.why = true, context.Canceled
		cancel(nil)
		w.queue.Add(2, tasks[2])
		added = true
	})
	for i, r := range w.queue.AsCompleted(late{ctx}) {
		w.result(i, r)
		w.bodyEnds()
	}
	w.end()
	if w.ran[2] > 0 {
		explorer.Fail("a task starts that was added after the end of the context")
	}
	w.rest()
	w.complete()
}

// asksLen: Len is the number of tasks added and not yielded, at any moment.
func asksLen() {
	w := &world{n: 3, keeps: true}
	for i, task := range w.tasks(nil) {
		w.queue.Add(i, task)
	}
	ask := func() {
		before := w.yielded
		if n := w.queue.Len(); n > 3-before || n < 3-before-1 {
			explorer.Fail("Len is %d after %d results", n, before)
		}
	}
	asked := false
	explorer.Go(func() {
		ask()
		asked = true
	})
	for i, r := range w.queue.AsCompleted(context.Background()) {
		w.result(i, r)
		w.left = true
		break
	}
	w.end()
	w.until("asked", func() bool { return asked })
	ask()
	w.rest()
	w.complete()
}

// panicsLate: a task that was left behind counts as yielded, however it ends.
func panicsLate() {
	w := &world{n: 1, detached: true}
	w.queue.Add(0, w.task(0, func(ctx context.Context, w *world, i int) error {
		explorer.AwaitDone(ctx)
		return panicking(ctx, w, i)
	}))
	w.protect(func() {
		for i, r := range w.queue.AsCompleted(w.cancelable(), await.Detach()) {
			w.result(i, r)
			explorer.Idle()
			if n := w.queue.Len(); n != 0 {
				explorer.Fail("Len is %d", n)
			}
			w.bodyEnds()
		}
	})
}

// limited: two tasks run within a limiter.
func limited(name int, permits int, do map[int]how) {
	d := doors[name]
	w := &world{n: 2, limit: permits, waits: 1, ordered: d.ordered}
	l := await.NewLimiter(permits)
	w.protect(func() {
		for i, r := range d.open(w, new(call), context.Background(), w.tasks(do), []await.Option{await.Within(l)}) {
			w.result(i, r)
			w.bodyEnds()
		}
	})
	w.end()
	if w.raised == nil {
		w.complete()
	}
	w.permits(l, permits)
}

// several: a task makes several calls at once within the limiter of its own.
func several(calls, permits int, do how) {
	w := &world{n: calls, limit: permits}
	l := await.NewLimiter(permits)
	leaves := w.tasks(all(do))
	for _, r := range await.AsCompleted(context.Background(), await.Times(1, func(ctx context.Context, _ int) (int, error) {
		done := 0
		for i := range calls {
			explorer.Go(func() {
				for _, r := range await.AsCompleted(ctx, leaves[i:i+1], await.Within(l)) {
					w.outcome(i, r)
					w.got[i]++
				}
				done++
			})
		}
		w.until("join", func() bool { return done == calls })
		return 0, nil
	}), await.Within(l)) {
		if r.Err != nil {
			explorer.Fail("%v", r.Err)
		}
	}
	w.end()
	w.complete()
	w.permits(l, permits)
}

// nestedDetached: a task of a call that was left behind gives the permit back
// that the task has lent which made the call.
func nestedDetached() {
	w := &world{n: 1, limit: 1, detached: true}
	l := await.NewLimiter(1)
	for range await.AsCompleted(context.Background(), await.Times(1, func(ctx context.Context, _ int) (int, error) {
		inner, cancel := explorer.WithCancel(ctx)
		explorer.Go(func() { cancel(nil) })
		for range await.AsCompleted(inner, w.tasks(all(obeying)), await.Within(l), await.Detach()) {
		}
		return 0, nil
	}), await.Within(l)) {
	}
	w.until("returned", func() bool { return w.active == 0 })
	w.permits(l, 1)
}

// share: two calls, of so many tasks, share a permit. The context of the first
// may end.
func share(first, second int, in func(*world) context.Context) {
	w := &world{n: first + second, limit: 1}
	l := await.NewLimiter(1)
	tasks := w.tasks(nil)
	ctx := context.Background()
	if in != nil {
		ctx = in(w)
		w.caller = nil // of one call only
	}
	call := func(ctx context.Context, from, to int) {
		for i, r := range await.AsCompleted(ctx, tasks[from:to], await.Within(l)) {
			w.outcome(from+i, r)
			w.got[from+i]++
		}
	}
	done := false
	explorer.Go(func() {
		call(context.Background(), first, w.n)
		done = true
	})
	call(ctx, 0, first)
	w.until("other", func() bool { return done })
	w.end()
	w.complete()
	w.permits(l, 1)
}

// nested: outer tasks make calls within the limiter of their own call.
func nested(permits, outer, inner int, do how, leave bool) {
	w := &world{n: outer * inner, limit: permits}
	l := await.NewLimiter(permits)
	leaves := w.tasks(all(do))
	tasks := await.Times(outer, func(ctx context.Context, n int) (int, error) {
		w.step("outer")
		for i, r := range await.AsCompleted(ctx, leaves[n*inner:(n+1)*inner], await.Within(l)) {
			w.outcome(n*inner+i, r)
			w.got[n*inner+i]++
			if leave {
				break
			}
		}
		w.step("outer ends")
		return n, nil
	})
	w.protect(func() {
		for range await.AsCompleted(context.Background(), tasks, await.Within(l)) {
		}
	})
	boom := w.raised
	w.raised = nil
	w.boom = [most]bool{}
	w.end()
	if boom == nil && !leave {
		w.complete()
	}
	w.permits(l, permits)
}

// deep: three calls inside of each other, with one permit.
func deep() {
	w := &world{n: 1, limit: 1}
	l := await.NewLimiter(1)
	var call func(depth int) await.Task[int]
	call = func(depth int) await.Task[int] {
		if depth == 0 {
			return w.task(0, plain)
		}
		return func(ctx context.Context) (int, error) {
			values, err := await.Gather(ctx, []await.Task[int]{call(depth - 1)}, await.Within(l))
			return values[0], err
		}
	}
	if v, err := call(3)(context.Background()); v != 1 || err != nil {
		explorer.Fail("%d, %v", v, err)
	}
	w.end()
	w.permits(l, 1)
}

// permits checks that all permits of a limiter are back, and no more.
func (w *world) permits(l *await.Limiter, n int) {
	explorer.Calm()
	v := &world{n: n + 1, limit: n}
	for range await.AsCompleted(context.Background(), v.tasks(all(meeting(n))), await.Within(l)) {
	}
}
