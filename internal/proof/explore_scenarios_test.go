//go:build explore

package proof_test

import (
	"context"
	"iter"
	"runtime"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/proof/explorer"
)

type results = iter.Seq2[int, await.Result[int]]

// door is a way in.
type door struct {
	name            string
	ordered         bool // results come in input order
	sequence, queue bool
	open            func(w *world, c *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results
}

const (
	AsCompleted = iota
	InOrder
	AsCompletedSeq
	InOrderSeq
	Queue
)

var doors = []door{
	{name: "AsCompleted", open: func(_ *world, _ *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results {
		return await.AsCompleted(ctx, tasks, opts...)
	}},
	{name: "InOrder", ordered: true, open: func(_ *world, _ *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results {
		return await.InOrder(ctx, tasks, opts...)
	}},
	{name: "AsCompletedSeq", sequence: true, open: func(w *world, c *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results {
		return await.AsCompletedSeq(ctx, w.sequence(tasks, c.pull), opts...)
	}},
	{name: "InOrderSeq", ordered: true, sequence: true, open: func(w *world, c *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results {
		return await.InOrderSeq(ctx, w.sequence(tasks, c.pull), opts...)
	}},
	{name: "Queue", queue: true, open: func(w *world, _ *call, ctx context.Context, tasks []await.Task[int], opts []await.Option) results {
		for i, task := range tasks {
			w.queue.Add(i, task)
		}
		return w.queue.AsCompleted(ctx, opts...)
	}},
}

// call is a scenario for every door.
type call struct {
	name   string
	n      int
	limit  int         // 0 is none
	buffer int         // unset is the default
	do     map[int]how // what tasks do; -1 is the others
	ctx    func(w *world) context.Context
	body   func(w *world) (leave bool) // after the checks of each result
	pull   func(w *world, i int)       // in each step of the sequence

	detach, recover bool
	bare            bool   // without OnCancel and OnDiscard
	needsHook       bool   // waits for OnCancel
	hooksOnly       bool   // without OnDiscard
	only            string // a door
}

const unset = -1

// breakAt leaves the loop at its k-th result.
func breakAt(k int) func(*world) bool { return func(w *world) bool { return w.yielded == k } }

func panicAt(k int) func(*world) bool {
	return func(w *world) bool {
		if w.yielded == k {
			w.left = true
			panic(errBody)
		}
		return false
	}
}

func exitAt(k int) func(*world) bool {
	return func(w *world) bool {
		if w.yielded == k {
			w.left = true
			runtime.Goexit()
		}
		return false
	}
}

// slow waits in the first body until so many tasks have begun.
func slow(begun int) func(*world) bool {
	return func(w *world) bool {
		if w.yielded == 1 {
			w.until("slow", func() bool { return w.begun >= begun })
		}
		return false
	}
}

func all(do how) map[int]how { return map[int]how{-1: do} }

// ended is a context that has ended before the call.
func ended(w *world) context.Context {
	ctx, cancel := explorer.WithCancel(context.Background())
	w.caller, w.canceled, w.why = ctx, true, errCause
	cancel(errCause)
	return ctx
}

// late is a context of a foreign type, which package context watches from a
// goroutine: its children end later than it.
type late struct{ context.Context }

func (late) Value(any) any { return nil }

func foreign(w *world) context.Context {
	ctx := late{w.cancelable()}
	w.why = context.Canceled // a foreign context has no cause
	return ctx
}

func cancelable(w *world) context.Context { return w.cancelable() }

var calls = []call{
	// Tasks run at once, as far as the limit and the buffer allow.
	{name: "nothing", n: 0, buffer: unset},
	{name: "one", n: 1, buffer: unset},
	{name: "three", n: 3, buffer: unset, bare: true},
	{name: "the last of two waits for the first body", n: 2, buffer: unset, do: map[int]how{1: read(1)}, bare: true},
	{name: "three meet", n: 3, buffer: unset, do: all(meeting(3)), bare: true},
	{name: "limit 1", n: 3, limit: 1, buffer: unset, bare: true},
	{name: "limit 1, buffer 0", n: 3, limit: 1, body: slow(2), bare: true},
	{name: "limit 1, buffer 1", n: 3, limit: 1, buffer: 1, body: slow(3), bare: true},
	{name: "limit 2, each meets the next", n: 3, limit: 2, buffer: unset, do: all(chained), bare: true},
	{name: "limit 2, the first meets all", n: 4, limit: 2, buffer: unset, do: map[int]how{0: meeting(4)}, bare: true},
	{name: "limit 2, buffer 0", n: 3, limit: 2, body: slow(3), bare: true},
	{name: "limit 2, buffer 0, each meets the next", n: 3, limit: 2, do: all(chained), bare: true},
	{name: "all run that can", n: 3, buffer: unset, do: all(lazy), bare: true},
	{name: "limit 2, all run that can", n: 4, limit: 2, buffer: unset, do: all(lazy), bare: true},
	{name: "limit 2, buffer 0, all run that can", n: 4, limit: 2, do: all(lazy), bare: true},
	{name: "limit 3, all run that can", only: "Gather", n: 5, limit: 3, buffer: unset, do: map[int]how{0: plain, -1: lazy}, bare: true},
	{name: "limit 2, buffer 1", n: 4, limit: 2, buffer: 1, do: map[int]how{0: meeting(3)}, body: slow(4), bare: true},

	// The loop is left.
	{name: "break at 1", n: 3, buffer: unset, body: breakAt(1)},
	{name: "break at 1, the others wait for it", n: 2, buffer: unset, do: map[int]how{1: obeying}, body: breakAt(1)},
	{name: "break at 1, limit 1", n: 2, limit: 1, buffer: unset, body: breakAt(1)},
	{name: "break at 1, limit 1, buffer 0", n: 3, limit: 1, body: breakAt(1)},
	{name: "break at 2, limit 2, buffer 1", n: 3, limit: 2, buffer: 1, body: breakAt(2), bare: true},
	{name: "break at the last", n: 2, buffer: unset, body: breakAt(2)},
	{name: "break at 1, OnCancel wakes the other", n: 2, limit: 2, buffer: unset, needsHook: true, do: map[int]how{1: hooked}, body: breakAt(1)},
	{name: "the body panics", n: 2, buffer: unset, body: panicAt(1)},
	{name: "the body exits", n: 2, limit: 1, buffer: unset, body: exitAt(1)},

	// Tasks fail, panic, exit.
	{name: "a task fails", n: 2, buffer: unset, do: map[int]how{0: failing}},
	{name: "a task panics, another waits for it", n: 2, buffer: unset, do: map[int]how{0: panicking, 1: obeying}},
	{name: "a task panics, another succeeds late", n: 2, buffer: unset, do: map[int]how{0: panicking, 1: deaf}},
	{name: "a task panics, limit 1", n: 3, limit: 1, buffer: unset, do: map[int]how{1: panicking}},
	{name: "a task panics, limit 1, buffer 0", n: 2, limit: 1, do: map[int]how{0: panicking}},
	{name: "two tasks panic", n: 2, buffer: unset, do: all(panicking)},
	{name: "a task panics, break at 1", n: 2, buffer: unset, do: map[int]how{1: panicking}, body: breakAt(1)},
	{name: "a task panics and is recovered, limit 1", n: 2, limit: 1, buffer: unset, recover: true, do: map[int]how{0: panicking}},
	{name: "a task exits", n: 2, buffer: unset, do: map[int]how{0: exiting}},
	{name: "a task exits, limit 1, buffer 0", n: 3, limit: 1, do: map[int]how{0: exiting}, bare: true},
	{name: "a task exits, limit 2, each meets the next", n: 3, limit: 2, buffer: unset, do: map[int]how{0: exiting, -1: chained}, bare: true},
	{name: "all tasks exit, limit 1", n: 2, limit: 1, buffer: unset, do: all(exiting)},

	// The caller's context ends.
	{name: "ended", n: 2, buffer: unset, ctx: ended},
	{name: "ends", n: 2, buffer: unset, ctx: cancelable},
	{name: "ends, tasks wait for it", n: 2, buffer: unset, ctx: cancelable, do: all(obeying)},
	{name: "ends, limit 1", n: 2, limit: 1, buffer: unset, ctx: cancelable},
	{name: "ends, limit 1, buffer 0", n: 2, limit: 1, ctx: cancelable},
	{name: "ends, limit 2, buffer 0", n: 3, limit: 2, ctx: cancelable, bare: true},
	{name: "ends, break at 1", n: 2, limit: 1, buffer: unset, ctx: cancelable, body: breakAt(1)},
	{name: "ends, a task exits", n: 2, limit: 1, ctx: cancelable, do: map[int]how{0: exiting}},
	{name: "ends, a task panics", n: 2, limit: 1, buffer: unset, ctx: cancelable, do: map[int]how{0: panicking}},
	{name: "ends, OnCancel wakes tasks", n: 2, buffer: unset, needsHook: true, ctx: cancelable, do: all(hooked)},
	{name: "ends and tells late, limit 1", n: 3, limit: 1, buffer: unset, ctx: foreign, bare: true},

	// Detach.
	{name: "detached", n: 2, buffer: unset, detach: true},
	{name: "detached, break at 1, another is stuck", n: 2, buffer: unset, detach: true, do: map[int]how{1: stuck}, body: breakAt(1)},
	{name: "detached, break at 1, limit 1", n: 3, limit: 1, buffer: unset, detach: true, body: breakAt(1)},
	{name: "detached, ends, tasks are stuck", n: 2, buffer: unset, detach: true, ctx: cancelable, do: all(stuck)},
	{name: "detached, ends, limit 1, stuck", n: 2, limit: 1, buffer: unset, detach: true, ctx: cancelable, do: all(stuck)},
	{name: "detached, ended", n: 2, buffer: unset, detach: true, ctx: ended},
	{name: "detached, a task panics, another is stuck", n: 2, buffer: unset, detach: true, do: map[int]how{0: panicking, 1: stuck}},
	{name: "detached, a task exits", n: 2, limit: 1, buffer: unset, detach: true, do: map[int]how{0: exiting}},

	{name: "detached, a task that exits is late", n: 2, limit: 1, buffer: unset, detach: true, do: map[int]how{0: exiting, 1: stuck}, body: breakAt(1)},

	// Workers that are gone, results that wait.
	{name: "all tasks exit, limit 1, buffer 1, break at 1", n: 4, limit: 1, buffer: 1, do: all(exiting), body: breakAt(1), bare: true},
	{name: "the last of three panics", n: 3, buffer: unset, do: map[int]how{2: panicking}, bare: true},

	// Sequences.
	{name: "the sequence panics", only: "Seq", n: 2, buffer: unset, pull: func(w *world, i int) {
		if i == 1 {
			w.seqBoom = errBoom
			panic(errBoom)
		}
	}},
	{name: "the sequence exits, limit 1", only: "Seq", n: 2, limit: 1, buffer: unset, pull: func(w *world, i int) {
		if i == 1 {
			w.seqBoom = await.ErrGoexit
			runtime.Goexit()
		}
	}},
	{name: "the sequence panics, break at 1", only: "Seq", n: 2, buffer: unset, body: breakAt(1), pull: func(w *world, i int) {
		if i == 1 {
			w.seqBoom = errBoom
			panic(errBoom)
		}
	}},
	{name: "a step waits for OnCancel, break at 1", only: "Seq", n: 2, buffer: unset, needsHook: true, body: breakAt(1), pull: func(w *world, i int) {
		if i == 1 {
			w.until("hooked", func() bool { return w.hooked > 0 })
		}
	}},
	{name: "a step waits for OnCancel, ends", only: "Seq", n: 2, buffer: unset, needsHook: true, ctx: cancelable, pull: func(w *world, i int) {
		if i == 1 {
			w.until("hooked", func() bool { return w.hooked > 0 })
		}
	}},
	{name: "a step waits for OnCancel, a task panics", only: "Seq", n: 2, buffer: unset, needsHook: true, do: map[int]how{0: panicking}, pull: func(w *world, i int) {
		if i == 1 {
			w.until("hooked", func() bool { return w.hooked > 0 })
		}
	}},
	{name: "detached, a step is stuck, break at 1", only: "Seq", n: 2, buffer: unset, detach: true, body: breakAt(1), pull: func(w *world, i int) {
		if i == 1 {
			w.until("stuck", func() bool { return w.over })
		}
	}},
	{name: "detached, a step is stuck, ends", only: "Seq", n: 2, buffer: unset, detach: true, ctx: cancelable, pull: func(w *world, i int) {
		if i == 1 {
			w.until("stuck", func() bool { return w.over })
		}
	}},
}

// scenarioOf is a call by one door.
func scenarioOf(c *call, d door) func() {
	return func() {
		w := &world{n: c.n, limit: c.limit, inTurn: c.limit == 1, ordered: d.ordered, keeps: d.queue && !c.detach, detached: c.detach, recovers: c.recover}
		ctx, opts := w.start(c, d.sequence || d.queue)
		loop := d.open(w, c, ctx, w.tasks(c.do), opts)
		defer func() {
			if explorer.Aborting() {
				return
			}
			w.end()
			w.cause()
			switch {
			case w.keeps:
				w.rest()
				w.complete()
			case w.left || w.raised != nil || w.detached && d.queue:
			case d.sequence:
				w.completeSequence()
			default:
				w.complete()
			}
		}()
		w.protect(func() {
			for i, r := range loop {
				w.result(i, r)
				if c.body != nil && c.body(w) {
					w.left = true
				}
				w.bodyEnds()
				if w.left {
					break
				}
			}
		})
	}
}

// start readies the context and the options of a call. Unless the call sets
// Buffer, results wait for the loop without a bound, or within that of streams.
func (w *world) start(c *call, stream bool) (context.Context, []await.Option) {
	var opts []await.Option
	if c.limit > 0 {
		opts = append(opts, await.Limit(c.limit))
	}
	switch {
	case c.buffer != unset:
		opts = append(opts, await.Buffer(c.buffer))
		w.ahead = c.limit + c.buffer
	case c.limit > 0 && stream:
		w.ahead = 2 * c.limit
	}
	if c.detach {
		opts = append(opts, await.Detach())
		w.limit, w.ahead, w.inTurn = 0, 0, false // what was left behind counts no more
	}
	if c.recover {
		opts = append(opts, await.Recover())
	}
	if !c.bare {
		w.hooks, w.discards = true, !w.keeps && !c.hooksOnly
		opts = append(opts, await.OnCancel(w.onCancel))
		if w.discards {
			opts = append(opts, await.OnDiscard(w.onDiscard))
		}
	}
	ctx := context.Background()
	if c.ctx != nil {
		ctx = c.ctx(w)
	}
	return ctx, opts
}

// rest reads what a loop over the queue has left there.
func (w *world) rest() {
	w.over, w.again, w.left, w.raises = false, true, false, false
	w.limit, w.inTurn, w.ahead, w.caller = 0, false, 0, nil
	explorer.Calm()
	for i, r := range w.queue.AsCompleted(context.Background()) {
		w.result(i, r)
	}
	if w.queue.Len() != 0 {
		explorer.Fail("%d tasks are left in the queue", w.queue.Len())
	}
}

// scenarios are all: every call by every door, and the special ones. A call with
// OnCancel and OnDiscard is made without them too, because the engine then
// takes other ways.
func scenarios() (all []scenario) {
	for i := range calls {
		c := &calls[i]
		bare, hooked := *c, *c
		bare.name += ", bare"
		bare.bare = true
		hooked.name += ", OnCancel"
		hooked.hooksOnly = true
		for _, d := range doors {
			if c.only == "" || c.only == "Seq" && d.sequence {
				list := !d.sequence && !d.queue
				all = append(all, scenario{name: d.name + "/" + c.name, run: scenarioOf(c, d)})
				if !c.bare && !c.needsHook && (list || !d.ordered) {
					all = append(all, scenario{name: d.name + "/" + bare.name, run: scenarioOf(&bare, d)})
				}
				if !c.bare && list {
					all = append(all, scenario{name: d.name + "/" + hooked.name, run: scenarioOf(&hooked, d)})
				}
			}
		}
		if c.only == "Seq" || c.body != nil || c.pull != nil || c.buffer != unset {
			continue
		}
		all = append(all,
			scenario{name: "Gather/" + c.name, run: func() { gather(c) }},
			scenario{name: "Settle/" + c.name, run: func() { settle(c) }})
		if !c.bare && !c.needsHook {
			all = append(all,
				scenario{name: "Gather/" + bare.name, run: func() { gather(&bare) }},
				scenario{name: "Settle/" + bare.name, run: func() { settle(&bare) }},
				scenario{name: "Gather/" + hooked.name, run: func() { gather(&hooked) }},
				scenario{name: "Settle/" + hooked.name, run: func() { settle(&hooked) }})
		}
	}
	return append(all, specials...)
}
