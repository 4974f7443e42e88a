package await_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runDoors is a subtest that runs f for every door, in a bubble.
func runDoors(t *testing.T, sentence string, f func(t *testing.T, d door)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachDoor(t, f) })
}

// runDoorsForReal is a subtest that runs f for every door, on real goroutines
// and real time.
func runDoorsForReal(t *testing.T, sentence string, f func(t *testing.T, d door)) {
	t.Helper()
	t.Run(sentence, func(t *testing.T) { eachDoorForReal(t, f) })
}

// A startLog notes what happens, and how long after it was made.
type startLog struct {
	mu    sync.Mutex
	begin time.Time
	lines []string
}

func newStartLog() *startLog { return &startLog{begin: time.Now()} }

// note adds a line.
func (l *startLog) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%v %s", time.Since(l.begin), what))
}

// of is tasks that note their start under name and number.
func (l *startLog) of(name string, tasks ...await.Task[int]) []await.Task[int] {
	noting := make([]await.Task[int], len(tasks))
	for i, task := range tasks {
		noting[i] = func(ctx context.Context) (int, error) {
			l.note(fmt.Sprintf("%s%d", name, i))
			return task(ctx)
		}
	}
	return noting
}

// sorted is the lines in the order of time and name.
func (l *startLog) sorted() []string { return slices.Sorted(slices.Values(l.lines)) }

func TestOptions(t *testing.T) {
	runWays(t, "are read at the call, and not at the range", func(t *testing.T, w way) {
		usual := append(make([]await.Option, 0, 8), await.Recover())
		var first, second counter
		one := w.loop(t, t.Context(), first.wrap(seconds(1, 1, 1, 1)...), append(usual, await.Limit(1))...)
		two := w.loop(t, t.Context(), second.wrap(seconds(1, 1, 1, 1)...), append(usual, await.Limit(3))...)
		require.Len(t, arrivals(one), 4)
		require.Len(t, arrivals(two), 4)
		require.EqualValues(t, 1, first.peak.Load())
		require.EqualValues(t, 3, second.peak.Load())

		opts := []await.Option{await.Limit(1)}
		results := w.loop(t, t.Context(), first.wrap(seconds(1, 1)...), opts...)
		clear(opts)
		require.Len(t, arrivals(results), 2)
		require.EqualValues(t, 1, first.peak.Load())
	})
	runDoors(t, "that are given twice: the last counts", func(t *testing.T, d door) {
		start := time.Now()
		var c counter
		var label string
		d.run(t, t.Context(), c.wrap(slices.Repeat([]await.Task[int]{func(ctx context.Context) (int, error) {
			label, _ = pprof.Label(ctx, "await")
			return tasktest.After(time.Second, 1)(ctx)
		}}, 4)...), await.Limit(3), await.Name("first"), await.Within(await.NewLimiter(1)),
			await.Limit(1), await.Name("last"), await.Within(await.NewLimiter(9)))
		require.EqualValues(t, 1, c.peak.Load())
		require.Equal(t, 4*time.Second, time.Since(start))
		require.Equal(t, "last", label)
	})
	runWays(t, "that are given twice: the last Buffer counts", func(t *testing.T, w way) {
		var c counter
		for range w.loop(t, t.Context(), c.wrap(instant(20)...), await.Limit(1), await.Buffer(10), await.Buffer(0)) {
			synctest.Wait()
			require.EqualValues(t, 1+1, c.started.Load())
			break
		}
	})
	runDoors(t, "that are given twice: Detach and Recover are as once", func(t *testing.T, d door) {
		results := d.run(t, t.Context(), []await.Task[int]{tasktest.After(time.Second, 10), exploding(2*time.Second, "boom")},
			await.Recover(), await.Detach(), await.Detach(), await.Recover())
		require.Equal(t, await.Result[int]{Value: 10}, results[0])
		requirePanicError(t, results[1].Err, 1, "boom")
	})
}

func TestLimit(t *testing.T) {
	runDoors(t, "is reached and never exceeded", func(t *testing.T, d door) {
		for _, limit := range []int{1, 3, 11, 12, 100} {
			start := time.Now()
			var c counter
			d.run(t, t.Context(), c.wrap(tasktest.Copies(12, tasktest.After(time.Second, 0))...), await.Limit(limit))
			require.EqualValues(t, min(limit, 12), c.peak.Load())
			require.Equal(t, time.Duration((12+limit-1)/limit)*time.Second, time.Since(start))
		}
	})
	runDoors(t, "is not there by default: all run at once", func(t *testing.T, d door) {
		start := time.Now()
		var c counter
		d.run(t, t.Context(), c.wrap(tasktest.Copies(1000, tasktest.After(time.Second, 0))...))
		require.EqualValues(t, 1000, c.peak.Load())
		require.Equal(t, time.Second, time.Since(start))
	})
	t.Run("holds for Gather, Gather2 and Gather3", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			for limit := 1; limit <= 2; limit++ {
				start := time.Now()
				var c counter
				task := c.one(tasktest.After(time.Second, 1))
				_, err := gather(t.Context(), task, task, await.Limit(limit))
				require.NoError(t, err)
				require.EqualValues(t, limit, c.peak.Load())
				require.Equal(t, time.Duration(2/limit)*time.Second, time.Since(start))
			}
		})
	})
	runDoors(t, "lets tasks start in input order, each when another ends", func(t *testing.T, d door) {
		log := newStartLog()
		d.run(t, t.Context(), log.of("", seconds(3, 1, 1, 5, 1, 1, 4)...), await.Limit(2))
		require.Equal(t, []string{"0s 0", "0s 1", "1s 2", "2s 3", "3s 4", "4s 5", "5s 6"}, log.sorted())
	})
	runDoorsForReal(t, "of 1 runs one task after another, which need no lock", func(t *testing.T, d door) {
		for _, opts := range [][]await.Option{{await.Limit(1)}, {await.Within(await.NewLimiter(1))}} {
			var order []int // not locked: the race detector watches
			d.run(t, t.Context(), await.Times(500, func(_ context.Context, i int) (int, error) {
				order = append(order, i)
				runtime.Gosched()
				return i, nil
			}), opts...)
			require.Equal(t, below(500), order)
		}
	})
	runDoors(t, "gives a slot back after a panic that is recovered, as after a Goexit", func(t *testing.T, d door) {
		if d.failsFast() {
			return
		}
		start := time.Now()
		tasks := slices.Repeat([]await.Task[int]{exploding(time.Second, "boom"), tasktest.After(time.Second, 1), tasktest.Exiting[int](time.Second)}, 4)
		for i, result := range d.run(t, t.Context(), tasks, await.Limit(2), await.Recover()) {
			require.Equal(t, i%3 != 1, result.Err != nil)
		}
		require.Equal(t, 6*time.Second, time.Since(start))
	})
	runDoorsForReal(t, "is never exceeded while workers come and go", func(t *testing.T, d door) {
		var c counter
		tasks := slices.Repeat([]await.Task[int]{tasktest.Deaf(0, 1), tasktest.Exiting[int](0), exploding(0, "boom")}, 300)
		d.run(t, t.Context(), c.wrap(tasks...), await.Limit(3), await.Recover())
		require.LessOrEqual(t, c.peak.Load(), int64(3))
		tasktest.RequireNoWorkers(t)
	})
}

func TestBuffer(t *testing.T) {
	const n = 30
	// The body blocks at every result until nothing moves any more.
	requireAhead := func(t *testing.T, w way, want int, opts ...await.Option) {
		t.Helper()
		var c counter
		yielded := 0
		for range w.loop(t, t.Context(), c.wrap(instant(n)...), opts...) {
			yielded++
			synctest.Wait()
			require.Equal(t, min(want, n-yielded), int(c.started.Load())-yielded, "started and not yet yielded")
			require.Zero(t, c.running.Load())
		}
		require.Equal(t, n, yielded)
	}
	runWays(t, "bounds, with the limit, the tasks that are started and not yet yielded", func(t *testing.T, w way) {
		for _, limit := range []int{1, 2, 5} {
			for _, buffer := range []int{0, 1, 3, n} {
				requireAhead(t, w, limit+buffer, await.Limit(limit), await.Buffer(buffer))
				requireAhead(t, w, limit+buffer, await.Within(await.NewLimiter(limit)), await.Buffer(buffer))
				requireAhead(t, w, limit+buffer, await.Within(await.NewLimiter(9)), await.Limit(limit), await.Buffer(buffer))
			}
		}
	})
	runWays(t, "is by default as large as a list, and else as the limit", func(t *testing.T, w way) {
		for _, limit := range []int{1, 2, 5} {
			want := 2 * limit
			if w.list() {
				want = n
			}
			requireAhead(t, w, want, await.Limit(limit))
			requireAhead(t, w, want, await.Within(await.NewLimiter(limit)))
		}
	})
	runWays(t, "changes nothing without a limit", func(t *testing.T, w way) {
		requireAhead(t, w, n)
		requireAhead(t, w, n, await.Buffer(0))
		requireAhead(t, w, n, await.Buffer(1), await.Detach())
	})
	runWays(t, "counts a Goexit as any result", func(t *testing.T, w way) {
		var c counter
		yielded := 0
		for range w.loop(t, t.Context(), c.wrap(tasktest.Copies(n, tasktest.Exiting[int](0))...), await.Limit(2), await.Buffer(1)) {
			yielded++
			synctest.Wait()
			require.EqualValues(t, min(n, yielded+2+1), c.started.Load())
		}
		require.Equal(t, n, yielded)
	})
	runWays(t, "bounds what runs ahead of the first task in input order", func(t *testing.T, w way) {
		var c counter
		tasks := c.wrap(slices.Concat(seconds(3600), instant(n))...)
		time.AfterFunc(time.Minute, func() {
			want := 2 + 3
			if !w.ordered {
				want = 1 + n // the others do not wait for it
			}
			assert.EqualValues(t, want, c.started.Load())
		})
		require.Len(t, arrivals(w.loop(t, t.Context(), tasks, await.Limit(2), await.Buffer(3))), 1+n)
	})
	t.Run("is ignored by Gather and Settle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, opts := range [][]await.Option{nil, {await.Detach()}} {
				start := time.Now()
				opts = append(opts, await.Limit(2), await.Buffer(0))
				await.Settle(t.Context(), tasktest.Copies(20, tasktest.After(time.Second, 1)), opts...)
				_, err := await.Gather(t.Context(), tasktest.Copies(20, tasktest.After(time.Second, 1)), opts...)
				require.NoError(t, err)
				require.Equal(t, 20*time.Second, time.Since(start))
			}
		})
	})
}

func TestRecover(t *testing.T) {
	runDoors(t, "makes a panic the error of its task, and cancels nothing", func(t *testing.T, d door) {
		if d.failsFast() {
			return
		}
		for _, opts := range [][]await.Option{nil, {await.Limit(1)}, {await.Limit(2)}, {await.Detach()}} {
			results := d.run(t, t.Context(), []await.Task[int]{
				exploding(time.Second, tasktest.ErrBoom), tasktest.After(2*time.Second, 20), exploding(0, nil),
				func(context.Context) (int, error) {
					defer explode("cleanup failed")
					runtime.Goexit()
					return 0, nil
				},
				tasktest.After(3*time.Second, 50),
			}, append(opts, await.Recover())...)
			requirePanicError(t, results[0].Err, 0, tasktest.ErrBoom)
			require.ErrorIs(t, results[0].Err, tasktest.ErrBoom)
			requirePanicError(t, results[2].Err, 2, new(runtime.PanicNilError))
			requirePanicError(t, results[3].Err, 3, "cleanup failed")
			require.Equal(t, []await.Result[int]{{Value: 20}, {Value: 50}}, []await.Result[int]{results[1], results[4]})
		}
	})
	t.Run("makes a panic fail a Gather as any error does", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			var cause error
			_, err := gather(t.Context(), lingering(time.Second, &cause), exploding(time.Second, tasktest.ErrBoom), await.Recover())
			requireTaskError(t, err, 1, tasktest.ErrBoom)
			requirePanicError(t, err, 1, tasktest.ErrBoom)
			require.Same(t, err, cause)
			require.Equal(t, 2*time.Second, time.Since(start))
		})
	})
	t.Run("does not recover a panic of a sequence, which belongs to no task", func(t *testing.T) {
		raised := raisedBy(t, func() {
			arrivals(await.AsCompletedSeq(t.Context(), func(func(int, await.Task[int]) bool) { explode("boom") }, await.Recover()))
		})
		requirePanicError(t, raised, nil, "boom")
	})
}

func TestDetach(t *testing.T) {
	runExits(t, "leaves the loop at once", func(t *testing.T, x exit, w way) {
		start := time.Now()
		var cause error
		var c counter
		x.leave(w.loop(t, t.Context(), slices.Concat([]await.Task[int]{
			tasktest.Deaf(time.Second, 10), lingering(time.Hour, &cause),
		}, c.wrap(seconds(1, 1, 1)...)), await.Limit(2), await.Detach()), func() {})
		require.Equal(t, time.Second, time.Since(start))
		afterDetached(2 * time.Hour)
		require.Equal(t, await.ErrStopped, cause)
		// A worker may take one more task in that second, before the loop is
		// scheduled.
		require.LessOrEqual(t, c.started.Load(), int64(1), "nothing further starts")
	})
	runDoors(t, "changes nothing until the end", func(t *testing.T, d door) {
		if d.failsFast() {
			return
		}
		start := time.Now()
		var c counter
		results := d.run(t, t.Context(), c.wrap(
			tasktest.After(2*time.Second, 10), tasktest.Failing[int](time.Second, tasktest.ErrBoom),
			tasktest.Exiting[int](time.Second), tasktest.After(time.Second, 40),
		), await.Limit(2), await.Detach())
		require.Equal(t, []await.Result[int]{{Value: 10}, {Err: tasktest.ErrBoom}, {Err: await.ErrGoexit}, {Value: 40}}, results)
		require.EqualValues(t, 2, c.peak.Load())
		require.Equal(t, 3*time.Second, time.Since(start))
	})
	// At second 4 tasks 0 and 3 run, and 4 and 5 have not started.
	unfinished := func(c *counter) []await.Task[int] {
		return c.wrap(
			tasktest.Deaf(time.Hour, 10), tasktest.Deaf(2*time.Second, 20), tasktest.Failing[int](time.Second, tasktest.ErrBoom),
			tasktest.Deaf(time.Hour, 40), tasktest.Deaf(0, 50), tasktest.Deaf(0, 60))
	}
	runEndings(t, "yields at once what runs or has not started when the context ends", func(t *testing.T, e ending, w way) {
		ctx, cancel := e.end(t.Context(), 4*time.Second)
		defer cancel()
		var c counter
		start := time.Now()
		got := arrivals(w.loop(t, ctx, unfinished(&c), await.Limit(2), await.Detach()))
		require.Equal(t, 4*time.Second, time.Since(start))
		for i, a := range got {
			if a.key == 0 || a.key == 3 {
				require.ErrorIs(t, a.err, e.cause)
				require.ErrorIs(t, a.err, e.err)
				require.NotErrorIs(t, a.err, await.ErrNotStarted)
				got[i].err = nil
			}
		}
		ran, unstarted := splitUnstarted(t, ctx, got)
		require.Equal(t, w.inItsOrder(
			arrival{1, 20, nil, 2 * time.Second},
			arrival{2, 0, tasktest.ErrBoom, 3 * time.Second},
			arrival{0, 0, nil, 4 * time.Second},
			arrival{3, 0, nil, 4 * time.Second},
		), ran)
		if w.list() {
			require.Equal(t, []int{4, 5}, keysOf(unstarted))
		} else {
			require.Empty(t, unstarted)
		}
		afterDetached(2 * time.Hour)
		require.EqualValues(t, 4, c.started.Load())
	})
	t.Run("lets Settle return when the context ends, and drops late results", func(t *testing.T) {
		for _, e := range endings {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := e.end(t.Context(), 4*time.Second)
				defer cancel()
				start := time.Now()
				var c counter
				results := await.Settle(ctx, unfinished(&c), await.Limit(2), await.Detach())
				require.Equal(t, 4*time.Second, time.Since(start))
				require.Equal(t, []await.Result[int]{{Value: 20}, {Err: tasktest.ErrBoom}}, results[1:3])
				for _, i := range []int{0, 3} {
					require.ErrorIs(t, results[i].Err, e.cause)
					require.ErrorIs(t, results[i].Err, e.err)
				}
				requireNotStarted(t, results[4].Err, e.cause, e.err)
				requireNotStarted(t, results[5].Err, e.cause, e.err)
				kept := slices.Clone(results)
				afterDetached(2 * time.Hour)
				require.EqualValues(t, 4, c.started.Load())
				require.Equal(t, kept, results)
			})
		}
	})
	t.Run("lets Gather return when the context ends", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			for _, e := range endings {
				ctx, cancel := e.end(t.Context(), time.Second)
				start := time.Now()
				values, err := gather(ctx, tasktest.Deaf(time.Hour, 10), tasktest.Deaf(time.Hour, 20), await.Detach())
				requireTaskError(t, err, 0, e.cause, e.err)
				require.NotErrorIs(t, err, await.ErrNotStarted)
				require.Equal(t, []int{0, 0}, values)
				require.Equal(t, time.Second, time.Since(start))
				cancel()
				afterDetached(2 * time.Hour)
			}
		})
	})
	t.Run("lets Gather return at the first error", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			start := time.Now()
			var cause error
			values, err := gather(t.Context(), lingering(time.Hour, &cause), tasktest.Failing[int](time.Second, tasktest.ErrBoom), await.Detach())
			requireTaskError(t, err, 1, tasktest.ErrBoom)
			require.Equal(t, []int{0, 0}, values)
			require.Equal(t, time.Second, time.Since(start))
			afterDetached(2 * time.Hour)
			require.Same(t, err, cause)
		})
	})
	runDoors(t, "starts nothing when the context has ended", func(t *testing.T, d door) {
		var c counter
		results := d.run(t, endsAfter(t, 0), c.wrap(instant(2)...), await.Detach())
		synctest.Wait()
		require.Zero(t, c.started.Load())
		if !d.way.queue && !d.way.seq { // a sequence is not asked for a task then
			requireNotStarted(t, results[0].Err, tasktest.ErrBoom, context.Canceled)
		}
	})
	runWays(t, "keeps what had finished for a slow loop when the context ends", func(t *testing.T, w way) {
		got := make(map[int]await.Result[int])
		for key, r := range w.loop(t, endsAfter(t, 5*time.Second), []await.Task[int]{
			tasktest.Deaf(time.Second, 10), tasktest.Deaf(2*time.Second, 20), tasktest.Deaf(time.Hour, 30), tasktest.Failing[int](3*time.Second, tasktest.ErrBoom),
		}, await.Detach()) {
			got[key] = r
			time.Sleep(10 * time.Second)
		}
		require.ErrorIs(t, got[2].Err, tasktest.ErrBoom)
		require.ErrorIs(t, got[2].Err, context.Canceled)
		delete(got, 2)
		require.Equal(t, map[int]await.Result[int]{0: {Value: 10}, 1: {Value: 20}, 3: {Err: tasktest.ErrBoom}}, got)
		afterDetached(time.Hour)
	})
	runWays(t, "drops late results although the loop goes on", func(t *testing.T, w way) {
		var keys []int
		for key, r := range w.loop(t, endsAfter(t, time.Second), []await.Task[int]{
			tasktest.Deaf(2*time.Second, 10), tasktest.Exiting[int](3 * time.Second), exploding(4*time.Second, "recovered"),
		}, await.Detach(), await.Recover()) {
			keys = append(keys, key)
			require.ErrorIs(t, r.Err, context.Canceled)
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, []int{0, 1, 2}, keys)
	})
	runDoors(t, "raises a panic at once", func(t *testing.T, d door) {
		start := time.Now()
		var cause error
		raised := raisedBy(t, func() {
			d.run(t, t.Context(), []await.Task[int]{lingering(time.Hour, &cause), exploding(time.Second, "boom")}, await.Detach())
		})
		requirePanicError(t, raised, 1, "boom")
		require.Equal(t, time.Second, time.Since(start))
		afterDetached(2 * time.Hour)
		require.Same(t, raised, cause)
	})
	runWays(t, "raises a panic after the context has ended, if the loop goes on", func(t *testing.T, w way) {
		yielded := 0
		raised := raisedBy(t, func() {
			for range w.loop(t, endsAfter(t, time.Second), []await.Task[int]{exploding(2*time.Second, "boom"), tasktest.Deaf(time.Minute, 20)}, await.Detach()) {
				yielded++
				time.Sleep(10 * time.Second)
			}
		})
		require.Equal(t, "boom", raised.Value)
		require.Equal(t, 1, yielded)
		afterDetached(time.Minute)
	})
	for _, end := range []string{"left", "cut short by the context"} {
		t.Run("does not wait for a sequence in the middle of a step, when the loop is "+end, func(t *testing.T) {
			for _, stream := range []func(context.Context, iter.Seq2[int, await.Task[int]], ...await.Option) results{
				await.AsCompletedSeq[int, int], await.InOrderSeq[int, int],
			} {
				synctest.Test(t, func(t *testing.T) {
					over := false
					tasks := func(yield func(int, await.Task[int]) bool) {
						defer func() { over = true }()
						yield(0, tasktest.Deaf(time.Second, 0))
						time.Sleep(time.Hour)
						assert.False(t, yield(1, func(context.Context) (int, error) { t.Error("started after the end"); return 0, nil }))
					}
					ctx := t.Context()
					if end != "left" {
						ctx = endsAfter(t, 2*time.Second)
					}
					start := time.Now()
					for key := range stream(ctx, tasks, await.Detach()) {
						require.Zero(t, key)
						if end == "left" {
							break
						}
					}
					require.LessOrEqual(t, time.Since(start), 2*time.Second)
					afterDetached(2 * time.Hour)
					require.True(t, over)
				})
			}
		})
	}
	t.Run("counts what a queue's loop leaves behind as yielded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c counter
			var q await.Queue[int, int]
			for i, task := range c.wrap(
				tasktest.Deaf(time.Second, 0),
				func(context.Context) (int, error) { // runs until second 20
					time.Sleep(20 * time.Second)
					q.Add(100, tasktest.Deaf(time.Second, 100))
					return 1, nil
				},
				func(context.Context) (int, error) { // runs from second 1 until second 4
					time.Sleep(3 * time.Second)
					q.Add(101, tasktest.Deaf(time.Second, 101))
					return 2, nil
				},
				tasktest.Deaf(5*time.Second, 3),
			) {
				q.Add(i, task)
			}
			start := time.Now()
			for range q.AsCompleted(t.Context(), await.Limit(2), await.Detach()) {
				synctest.Wait() // until the third runs
				break
			}
			require.Equal(t, time.Second, time.Since(start))
			require.EqualValues(t, 2, c.running.Load())
			require.Equal(t, 1, q.Len())
			// A later loop yields what they add, and not themselves.
			require.Equal(t, []arrival{{101, 101, nil, 4 * time.Second}, {3, 3, nil, 5 * time.Second}},
				arrivals(q.AsCompleted(t.Context(), await.Limit(2))))
			require.Zero(t, q.Len())
			afterDetached(time.Hour)
			require.Equal(t, []int{100}, keysOf(arrivals(q.AsCompleted(t.Context()))))
		})
	})
	runDoorsForReal(t, "never writes into what was returned", func(t *testing.T, d door) {
		if d.way.name != "" {
			return // Gather and Settle return slices
		}
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			release := make(chan struct{})
			var running sync.WaitGroup
			running.Add(8)
			go func() {
				running.Wait()
				cancel()
				close(release)
			}()
			results := d.run(t, ctx, tasktest.Copies(8, func(context.Context) (int, error) {
				running.Done()
				<-release
				return 1, nil
			}), await.Detach())
			for i := range results { // while they return: the race detector watches
				results[i] = await.Result[int]{Value: -1}
			}
			tasktest.RequireNoWorkers(t)
			require.Equal(t, slices.Repeat([]await.Result[int]{{Value: -1}}, 8), results)
		}
	})
	runDoorsForReal(t, "gives each task one result, whenever the context ends", func(t *testing.T, d door) {
		for cancelAt := range 100 {
			ctx, cancel := context.WithCancelCause(t.Context())
			for i, result := range d.run(t, ctx, await.Times(100, func(_ context.Context, i int) (int, error) {
				if i == cancelAt {
					go cancel(tasktest.ErrBoom)
				}
				return i + 1, nil
			}), await.Limit(1+cancelAt%4), await.Detach()) {
				if result.Err != nil {
					require.ErrorIs(t, result.Err, tasktest.ErrBoom)
				} else if d.way.list() && d.name != "Gather" {
					require.Equal(t, i+1, result.Value)
				}
			}
			cancel(nil)
		}
		tasktest.RequireNoWorkers(t)
	})
	t.Run("keeps no result in memory that the loop has left", func(t *testing.T) {
		for _, opts := range [][]await.Option{nil, {await.Within(await.NewLimiter(4))}} {
			synctest.Test(t, func(t *testing.T) {
				var pages [2]weak.Pointer[page]
				pageAfter := func(d time.Duration, i int) await.Task[*page] {
					return func(context.Context) (*page, error) {
						time.Sleep(d)
						value := new(page)
						pages[i] = weak.Make(value)
						return value, nil
					}
				}
				for range await.AsCompleted(t.Context(), []await.Task[*page]{
					tasktest.After[*page](0, nil), pageAfter(time.Second, 0), pageAfter(time.Minute, 1), tasktest.Deaf[*page](time.Hour, nil),
				}, append(opts, await.Detach())...) {
					time.Sleep(2 * time.Second)
					break
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait() // what the tasks wrote is visible now
				runtime.GC()
				assert.Nil(t, pages[0].Value())
				assert.Nil(t, pages[1].Value())
				afterDetached(2 * time.Hour)
			})
		}
	})
	t.Run("has errors with the text of the context's cause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, tasktest.ErrBoom)
			defer cancel()
			results := await.Settle(ctx, []await.Task[int]{tasktest.Deaf(time.Minute, 0)}, await.Detach())
			require.EqualError(t, results[0].Err, "boom")
			require.ErrorIs(t, results[0].Err, tasktest.ErrBoom)
			require.ErrorIs(t, results[0].Err, context.DeadlineExceeded)
			afterDetached(time.Hour)
		})
	})
	t.Run("keeps no value in memory that Settle has returned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var kept weak.Pointer[page]
			await.Settle(endsAfter(t, time.Second), []await.Task[*page]{
				func(context.Context) (*page, error) {
					value := new(page)
					kept = weak.Make(value)
					return value, nil
				},
				tasktest.Deaf[*page](time.Hour, nil),
			}, await.Detach(), await.OnDiscard(func(*page) {}))
			runtime.GC()
			assert.Nil(t, kept.Value())
			afterDetached(2 * time.Hour)
		})
	})
	// The task runs on when the call has ended, and panics then.
	crash := func(name string, value error, leave func(ctx context.Context, late, other await.Task[int])) {
		t.Run("lets a late panic crash the program, after "+name, func(t *testing.T) {
			if !tasktest.IsChild(t) {
				output, err := tasktest.RunChild(t)
				require.Error(t, err)
				require.Contains(t, output, value.Error())
				require.Contains(t, output, "await_test.explode(")
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			began, left := make(chan struct{}), make(chan struct{})
			leave(ctx, func(context.Context) (int, error) {
				close(began)
				<-left
				explode(value)
				return 0, nil
			}, func(context.Context) (int, error) {
				<-began
				cancel()
				return 0, tasktest.ErrBoom
			})
			close(left)
			select {} // the crash ends it
		})
	}
	for _, d := range doors {
		crash(d.name, tasktest.ErrBoom, func(ctx context.Context, late, other await.Task[int]) {
			d.run(t, ctx, []await.Task[int]{late, other}, await.Detach())
		})
	}
	for _, w := range ways {
		if w.ordered {
			continue // the first result is that of the late task
		}
		crash("a break out of "+w.name, await.ErrGoexit, func(ctx context.Context, late, other await.Task[int]) {
			for range w.loop(t, context.WithoutCancel(ctx), []await.Task[int]{late, other}, await.Detach()) {
				break
			}
		})
	}
}

// recordsOf returns the records of the goroutine profile that have text.
func recordsOf(t *testing.T, text string) (records []string) {
	t.Helper()
	var profile strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(record, text) {
			records = append(records, record)
		}
	}
	return records
}

// ownRecord returns the record of the goroutine that calls it.
func ownRecord(t *testing.T) string {
	t.Helper()
	profiling.Lock()
	defer profiling.Unlock()
	return onlyRecord(t)
}

var profiling sync.Mutex // has one goroutine at a time in onlyRecord

func onlyRecord(t *testing.T) string {
	t.Helper()
	records := recordsOf(t, "await_test.onlyRecord+")
	assert.Len(t, records, 1)
	return records[0]
}

func TestName(t *testing.T) {
	tenant := func(t *testing.T) context.Context {
		t.Helper()
		return pprof.WithLabels(t.Context(), pprof.Labels("tenant", "north"))
	}
	runDoorsForReal(t, "labels the tasks' context and goroutines", func(t *testing.T, d door) {
		var records [3]string
		d.run(t, tenant(t), await.Times(3, func(ctx context.Context, i int) (int, error) {
			label, _ := pprof.Label(ctx, "await")
			assert.Equal(t, "crawl", label)
			label, _ = pprof.Label(ctx, "tenant")
			assert.Equal(t, "north", label)
			records[i] = ownRecord(t)
			if i == 1 {
				runtime.Goexit() // another goroutine follows
			}
			return 0, nil
		}), await.Name("crawl"), await.Limit(1))
		for i, record := range records {
			if i == 2 && d.failsFast() {
				break
			}
			require.Contains(t, record, `"await":"crawl"`)
			require.Contains(t, record, `"tenant":"north"`)
		}
	})
	runDoorsForReal(t, "that is empty, or not given, is no label", func(t *testing.T, d door) {
		for _, opts := range [][]await.Option{nil, {await.Name("")}, {await.Name("crawl"), await.Name("")}} {
			var record string
			found := false
			d.run(t, tenant(t), []await.Task[int]{func(ctx context.Context) (int, error) {
				_, found = pprof.Label(ctx, "await")
				record = ownRecord(t)
				return 1, nil
			}}, opts...)
			require.False(t, found)
			require.NotContains(t, record, `"await":`)
		}
	})
	t.Run("leaves the caller's own labels alone", func(t *testing.T) {
		pprof.Do(t.Context(), pprof.Labels("caller", "kept"), func(ctx context.Context) {
			requireOwn := func() {
				record := ownRecord(t)
				require.Contains(t, record, `"caller":"kept"`)
				require.NotContains(t, record, `"await":`)
			}
			for _, w := range ways {
				for range w.loop(t, ctx, instant(2), await.Name("crawl")) {
					requireOwn()
				}
				requireOwn()
			}
			for _, d := range doors {
				d.run(t, ctx, instant(2), await.Name("crawl"))
				requireOwn()
				tasktest.PanicOf(t, func() { d.run(t, ctx, []await.Task[int]{exploding(0, "boom")}, await.Name("crawl")) })
				requireOwn()
			}
		})
	})
	for name, opts := range map[string][]await.Option{"without a name": nil, "with a name": {await.Name("crawl")}, "with a limit": {await.Limit(4)}} {
		// A goroutine that adds brings workers into being.
		t.Run("or not: the labels of a goroutine that adds to a queue do not stick to workers, "+name, func(t *testing.T) {
			var q await.Queue[int, string]
			began := make(chan struct{})
			var ran sync.WaitGroup
			ran.Add(3)
			q.Add(-1, func(context.Context) (string, error) { close(began); ran.Wait(); return "", nil })
			record := func(context.Context) (string, error) { defer ran.Done(); return ownRecord(t), nil }
			go pprof.Do(t.Context(), pprof.Labels("adder", "sticky"), func(context.Context) {
				<-began
				for i := range 3 {
					q.Add(i, record)
				}
			})
			for key, r := range q.AsCompleted(tenant(t), opts...) {
				require.NotContains(t, r.Value, "sticky")
				if key >= 0 && name == "with a name" {
					require.Contains(t, r.Value, `"tenant":"north"`)
				}
			}
		})
	}
	runDoorsForReal(t, "or not: the labels of a goroutine that cancels do not stick to OnCancel's", func(t *testing.T, d door) {
		for _, opts := range [][]await.Option{nil, {await.Name("crawl")}} {
			ctx, cancel := context.WithCancel(tenant(t))
			record := ""
			d.run(t, ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
				pprof.Do(ctx, pprof.Labels("cancels", "sticky"), func(context.Context) { cancel() })
				return 0, nil
			}}, append(opts, await.OnCancel(func() { record = ownRecord(t) }))...)
			require.NotContains(t, record, "sticky")
			require.Contains(t, record, `"tenant":"north"`)
		}
	})
}

// startTrace skips the test if go test itself is tracing.
func startTrace(t *testing.T, buf *bytes.Buffer) {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("there is one trace at a time")
	}
	require.NoError(t, trace.Start(buf))
}

// traceOf returns the execution trace of f.
func traceOf(t *testing.T, f func()) string {
	t.Helper()
	var buf bytes.Buffer
	startTrace(t, &buf)
	f()
	trace.Stop()
	return buf.String()
}

// requireTraced fails unless the trace has the strings, each whole: a trace
// keeps a string after its length.
func requireTraced(t *testing.T, trace string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(trace, string(rune(len(text)))+text) { // the failure must not print the trace
			t.Errorf("%q is not in the trace", text)
		}
	}
}

var (
	traceEvent   = regexp.MustCompile(`(?m)^.* ((?:Task|Region|Log)(?:Begin|End)?) .*(?:ID|Task)=(\d+)(.*)$`)
	quotedString = regexp.MustCompile(`"[^"]*"`)
)

// eventsOf lists what the trace of one call has about tasks and regions, and
// marks what is outside the call.
func eventsOf(t *testing.T, traced string) (events []string) {
	t.Helper()
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to read the trace with")
	}
	path := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(path, []byte(traced), 0o600))
	out, err := exec.CommandContext(t.Context(), program, "tool", "trace", "-d=parsed", path).CombinedOutput()
	if err != nil {
		t.Skipf("go tool trace cannot be built here, or is of another release: %v\n%s", err, out)
	}
	var call string
	for _, m := range traceEvent.FindAllStringSubmatch(string(out), -1) {
		what, task, texts := m[1], m[2], quotedString.FindAllString(m[3], -1)
		if call == "" {
			call = task
		}
		if task != call {
			what = "outside: " + what
		}
		events = append(events, what+" "+strings.Join(texts, " "))
	}
	return events
}

func TestNameInTraces(t *testing.T) {
	runDoorsForReal(t, "is that of the call, and each task is a region of it", func(t *testing.T, d door) {
		if d.way.queue || d.way.seq {
			return // each takes a second to read; the tasks of all run in the same way
		}
		traced := traceOf(t, func() {
			d.run(t, t.Context(), await.Times(2, func(ctx context.Context, i int) (int, error) {
				trace.Log(ctx, "in", fmt.Sprint(i))
				return 0, nil
			}), await.Limit(1), await.Name("crawl"))
			trace.Log(t.Context(), "after", "")
		})
		require.Equal(t, []string{
			`TaskBegin "crawl"`,
			`RegionBegin "await.task"`, `Log "task" "0"`, `Log "in" "0"`, `RegionEnd "await.task"`,
			`RegionBegin "await.task"`, `Log "task" "1"`, `Log "in" "1"`, `RegionEnd "await.task"`,
			`TaskEnd "crawl"`,
			`outside: Log "after" ""`,
		}, eventsOf(t, traced))
	})
	runDoorsForReal(t, "is await by default", func(t *testing.T, d door) {
		requireTraced(t, traceOf(t, func() { d.run(t, t.Context(), instant(2)) }), "await", "await.task")
		traced := traceOf(t, func() { d.run(t, t.Context(), instant(2), await.Name("crawl")) })
		requireTraced(t, traced, "crawl", "await.task")
		require.NotContains(t, traced, "\x05await")
	})
	runDoorsForReal(t, "is there for a trace that starts in the middle of a call", func(t *testing.T, d door) {
		var buf bytes.Buffer
		d.run(t, t.Context(), []await.Task[int]{func(context.Context) (int, error) { startTrace(t, &buf); return 0, nil }, tasktest.Deaf(0, 1)},
			await.Limit(1), await.Name("crawl"))
		trace.Stop()
		requireTraced(t, buf.String(), "crawl", "await.task")
	})
	runDoorsForReal(t, "is there for a trace that stops in the middle of a call", func(t *testing.T, d door) {
		var buf bytes.Buffer
		startTrace(t, &buf)
		results := d.run(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(0, 10), func(context.Context) (int, error) { trace.Stop(); return 20, nil }, tasktest.Deaf(0, 30),
		}, await.Limit(1), await.Name("crawl"))
		require.Equal(t, []await.Result[int]{{Value: 10}, {Value: 20}, {Value: 30}}, results)
		requireTraced(t, buf.String(), "crawl", "await.task")
	})
	runDoorsForReal(t, "changes nothing of how a task ends", func(t *testing.T, d door) {
		traced := traceOf(t, func() {
			requirePanicError(t, raisedBy(t, func() {
				d.run(t, t.Context(), []await.Task[int]{exploding(0, "boom")}, await.Name("crawl"))
			}), 0, "boom")
			var inner func() context.Context
			results := d.run(t, t.Context(), []await.Task[int]{
				func(ctx context.Context) (int, error) { inner = func() context.Context { return ctx }; return 1, nil },
				exploding(0, "boom"), tasktest.Exiting[int](0), tasktest.Failing[int](0, tasktest.ErrBoom),
			}, await.Limit(1), await.Recover(), await.Name("crawl"))
			label, _ := pprof.Label(inner(), "await")
			require.Equal(t, "crawl", label)
			require.Equal(t, await.Result[int]{Value: 1}, results[0])
			requirePanicError(t, results[1].Err, 1, "boom")
			if !d.failsFast() {
				require.Equal(t, await.ErrStopped, context.Cause(inner()))
				require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}, {Err: tasktest.ErrBoom}}, results[2:])
			}
		})
		requireTraced(t, traced, "crawl", "await.task")
	})
	t.Run("does no harm to a detached call that is left when its task begins", func(t *testing.T) {
		traceOf(t, func() {
			for range rounds(5000) {
				for range await.AsCompleted(tasktest.EndingSoon(t.Context(), 6000), instant(1), await.Detach()) {
					break
				}
			}
		})
		tasktest.RequireNoWorkers(t)
	})
}

// lasting is a function that takes d, counts its calls, and notes when the
// first was made.
type lasting struct {
	d     time.Duration
	calls atomic.Int64
	at    time.Time // of the call
}

func (l *lasting) call() {
	l.at = time.Now()
	l.calls.Add(1)
	time.Sleep(l.d)
}

func TestOnCancel(t *testing.T) {
	runDoors(t, "is called once in each run, over nothing and with an ended context too", func(t *testing.T, d door) {
		var f lasting
		for n, ctx := range []context.Context{t.Context(), endsAfter(t, 0)} {
			d.run(t, ctx, instant(3), await.OnCancel(f.call))
			require.EqualValues(t, 2*n+1, f.calls.Load())
			d.run(t, ctx, nil, await.OnCancel(f.call))
			require.EqualValues(t, 2*n+2, f.calls.Load())
		}
		time.Sleep(time.Hour)
		require.EqualValues(t, 4, f.calls.Load())
	})
	runWays(t, "is called again when the loop is ranged over again", func(t *testing.T, w way) {
		var f lasting
		loop := w.loop(t, t.Context(), instant(3), await.OnCancel(f.call))
		synctest.Wait()
		require.Zero(t, f.calls.Load(), "the call alone starts nothing")
		for n := range int64(3) {
			arrivals(loop)
			require.Equal(t, n+1, f.calls.Load())
		}
	})
	// The task at work ignores its context until second 9.
	runExits(t, "is called as soon as the loop is left, and the end waits for it", func(t *testing.T, x exit, w way) {
		for _, opts := range [][]await.Option{nil, {await.Detach()}} {
			f := lasting{d: 4 * time.Second}
			start := time.Now()
			x.leave(w.loop(t, t.Context(), seconds(1, 9), append(opts, await.OnCancel(f.call))...), func() { require.Zero(t, f.calls.Load()) })
			require.Equal(t, time.Second, f.at.Sub(start))
			if opts == nil {
				require.Equal(t, 9*time.Second, time.Since(start))
			} else {
				require.Equal(t, 5*time.Second, time.Since(start))
			}
			afterDetached(time.Hour)
			require.EqualValues(t, 1, f.calls.Load())
		}
	})
	t.Run("is called as soon as the caller's context ends", func(t *testing.T) {
		for _, e := range endings {
			runDoors(t, e.name, func(t *testing.T, d door) {
				for _, opts := range [][]await.Option{nil, {await.Detach()}} {
					ctx, cancel := e.end(t.Context(), 3*time.Second)
					f := lasting{d: 20 * time.Second}
					start := time.Now()
					d.run(t, ctx, seconds(1, 9), append(opts, await.OnCancel(f.call))...)
					cancel()
					require.Equal(t, 3*time.Second, f.at.Sub(start))
					require.Equal(t, 23*time.Second, time.Since(start), "the end waits for it")
					require.EqualValues(t, 1, f.calls.Load())
				}
			})
		}
	})
	runDoors(t, "is called as soon as a task panics", func(t *testing.T, d door) {
		for _, opts := range [][]await.Option{nil, {await.Detach()}} {
			f := lasting{d: 20 * time.Second}
			start := time.Now()
			requireRaised(t, "boom", func() {
				d.run(t, t.Context(), []await.Task[int]{exploding(2*time.Second, "boom"), tasktest.Deaf(9*time.Second, 0)}, append(opts, await.OnCancel(f.call))...)
			})
			require.Equal(t, 2*time.Second, f.at.Sub(start))
			require.Equal(t, 22*time.Second, time.Since(start), "the end waits for it")
			require.EqualValues(t, 1, f.calls.Load())
		}
	})
	t.Run("is called as soon as a task fails its Gather", func(t *testing.T) {
		eachGather(t, func(t *testing.T, gather gatherFunc) {
			f := lasting{d: 20 * time.Second}
			start := time.Now()
			_, err := gather(t.Context(), tasktest.Failing[int](2*time.Second, tasktest.ErrBoom), tasktest.Deaf(9*time.Second, 0), await.OnCancel(f.call))
			require.ErrorIs(t, err, tasktest.ErrBoom)
			require.Equal(t, 2*time.Second, f.at.Sub(start))
			require.Equal(t, 22*time.Second, time.Since(start), "the end waits for it")
			require.EqualValues(t, 1, f.calls.Load())
		})
	})
	runDoors(t, "is called when all is done, which is after the last body", func(t *testing.T, d door) {
		f := lasting{d: 4 * time.Second}
		start := time.Now()
		d.run(t, t.Context(), seconds(1, 2), await.OnCancel(f.call))
		require.Equal(t, 2*time.Second, f.at.Sub(start))
		require.Equal(t, 6*time.Second, time.Since(start))
		if d.way.name == "" {
			return
		}
		start = time.Now()
		for range d.way.loop(t, t.Context(), seconds(1, 2), await.OnCancel(f.call)) {
			time.Sleep(10 * time.Second)
		}
		require.Equal(t, 21*time.Second, f.at.Sub(start))
	})
	runDoors(t, "runs on a goroutine of the call, and its Goexit counts as return", func(t *testing.T, d door) {
		caller, called := goroutineID(), ""
		d.run(t, t.Context(), instant(2), await.OnCancel(func() {
			called = goroutineID()
			runtime.Goexit()
		}))
		require.NotEmpty(t, called)
		require.NotEqual(t, caller, called)
	})
	runDoors(t, "several are called one after another, in the order given", func(t *testing.T, d door) {
		log := newStartLog()
		d.run(t, t.Context(), instant(2),
			await.OnCancel(func() { log.note("first"); time.Sleep(time.Second) }),
			await.OnCancel(func() { log.note("second"); runtime.Goexit() }),
			await.OnCancel(func() { log.note("third") }))
		require.Equal(t, []string{"0s first", "1s second", "1s third"}, log.lines)
	})
	runDoors(t, "a panic in one is raised, when the others have been called", func(t *testing.T, d door) {
		var f lasting
		raised := raisedBy(t, func() {
			d.run(t, t.Context(), instant(2), await.OnCancel(func() { explode(tasktest.ErrBoom) }), await.OnCancel(f.call))
		})
		requirePanicError(t, raised, nil, tasktest.ErrBoom)
		require.ErrorContains(t, raised, "OnCancel")
		require.EqualValues(t, 1, f.calls.Load())
	})
	runDoors(t, "a panic in it comes after that of a task, and is in the text", func(t *testing.T, d door) {
		for _, end := range []time.Duration{time.Hour, time.Second} { // of the context
			raised := raisedBy(t, func() {
				d.run(t, endsAfter(t, end), []await.Task[int]{exploding(2*time.Second, "the task's")}, await.OnCancel(func() { panic("OnCancel's") }))
			})
			require.Equal(t, "the task's", raised.Value)
			require.ErrorContains(t, raised, "OnCancel's")
		}
	})
	runWays(t, "a panic in it is in the text of a task's when the body panics too", func(t *testing.T, w way) {
		raised := raisedBy(t, func() {
			for range w.loop(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(time.Second, 0), exploding(2*time.Second, "the task's"),
			}, await.OnCancel(func() { panic("OnCancel's") })) {
				panic("the body's")
			}
		})
		require.Equal(t, "the task's", raised.Value)
		require.ErrorContains(t, raised, "OnCancel's")
	})
	runWays(t, "a panic in it comes after that of the body", func(t *testing.T, w way) {
		require.Equal(t, "the body's", tasktest.PanicOf(t, func() {
			for range w.loop(t, t.Context(), instant(2), await.OnCancel(func() { panic("OnCancel's") })) {
				panic("the body's")
			}
		}))
	})
	t.Run("belongs to the loop that First leaves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f lasting
			start := time.Now()
			_, _, err := await.First(await.AsCompleted(t.Context(), seconds(1, 9), await.OnCancel(f.call)))
			require.NoError(t, err)
			require.Equal(t, time.Second, f.at.Sub(start))
		})
	})
	// The sequence offers one task and blocks then, as on a channel, until its
	// own context ends.
	for name, stream := range map[string]func(context.Context, iter.Seq2[int, await.Task[int]], ...await.Option) results{
		"AsCompletedSeq": await.AsCompletedSeq[int, int], "InOrderSeq": await.InOrderSeq[int, int],
	} {
		t.Run("ends the wait for a step of a sequence, on every way out of "+name, func(t *testing.T) {
			for _, x := range exits {
				for _, told := range []bool{true, false} {
					synctest.Test(t, func(t *testing.T) {
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
						defer cancel()
						over := false
						var opts []await.Option
						if told {
							opts = append(opts, await.OnCancel(cancel))
						}
						start := time.Now()
						x.leave(stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
							defer func() { over = true }()
							if yield(0, tasktest.Deaf(time.Second, 0)) {
								<-ctx.Done()
							}
						}, opts...), func() {})
						require.True(t, over, "nothing of the sequence runs any more")
						if told {
							require.Equal(t, time.Second, time.Since(start))
						} else {
							require.Equal(t, time.Hour, time.Since(start))
						}
					})
				}
			}
		})
		t.Run("ends the first of two stages when the second is left: "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				first := stream(ctx, slices.All([]await.Task[int]{tasktest.Deaf(time.Second, 0), tasktest.After(time.Hour, 1)}))
				second := stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
					for key, r := range first {
						if !yield(key, tasktest.Deaf(time.Second, r.Value)) {
							return
						}
					}
				}, await.OnCancel(cancel))
				start := time.Now()
				for range second {
					break
				}
				require.Equal(t, 2*time.Second, time.Since(start))
			})
		})
	}
	t.Run("closes what a reader that knows no context reads from", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			go io.WriteString(w, "x")
			var last error
			for _, r := range await.AsCompletedSeq(t.Context(), await.TaskSeq2(func(yield func(byte, error) bool) {
				buf := make([]byte, 1)
				for {
					_, last = r.Read(buf)
					if !yield(buf[0], last) || last != nil {
						return
					}
				}
			}, func(_ context.Context, b byte) (byte, error) { return b, nil }), await.OnCancel(func() { r.Close() })) {
				require.Equal(t, await.Result[byte]{Value: 'x'}, r)
				break
			}
			require.Equal(t, io.ErrClosedPipe, last)
		})
	})
}

// discards notes which values were discarded.
type discards struct {
	mu         sync.Mutex // only for late values
	values     []int
	goroutines []string
}

// note needs no lock, because the calls come one at a time: the race detector
// watches.
func (d *discards) note(value int) {
	d.values = append(d.values, value)
	d.goroutines = append(d.goroutines, goroutineID())
}

// noteLate is for late values, which come on the tasks' goroutines.
func (d *discards) noteLate(value int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(value)
}

// all returns the values of noteLate.
func (d *discards) all() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.values)
}

func TestOnDiscard(t *testing.T) {
	runDoors(t, "is not called for what reached the caller, nor for what has no value", func(t *testing.T, d door) {
		var gone discards
		for _, ctx := range []context.Context{t.Context(), endsAfter(t, 2*time.Second), endsAfter(t, 0)} {
			d.run(t, ctx, []await.Task[int]{
				tasktest.Deaf(time.Second, 10),
				tasktest.Deaf(3*time.Second, 20),
				func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 30, tasktest.ErrBoom }, // ends a Gather
				tasktest.Exiting[int](3 * time.Second),
				tasktest.Deaf(4*time.Second, 40),
			}, await.OnDiscard(gone.note))
		}
		require.Empty(t, gone.values)
	})
	// The body holds the first result from second 1 to second 3.
	runExits(t, "is called for each success that was late or unread when the loop was left", func(t *testing.T, x exit, w way) {
		var gone discards
		ranged := ""
		x.leave(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(1*time.Second, 10),
			tasktest.After(time.Hour, 11), // canceled
			tasktest.Deaf(5*time.Second, 12),
			tasktest.Deaf(2*time.Second, 13),
			func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 14, tasktest.ErrBoom },
			tasktest.Exiting[int](2 * time.Second),
			tasktest.Deaf(4*time.Second, 0), // zero is a value too
		}, await.OnDiscard(gone.note)), func() {
			ranged = goroutineID()
			time.Sleep(2 * time.Second)
		})
		if w.queue { // keeps them for its next loop
			require.Empty(t, gone.values)
			return
		}
		require.Equal(t, []int{13, 0, 12}, gone.values, "in the order in which they finished")
		if x.name != "stop of iter.Pull2" { // whose caller is not the goroutine that ranges
			require.Equal(t, slices.Repeat([]string{ranged}, 3), gone.goroutines, "on the caller's goroutine")
		}
	})
	runWays(t, "is called for what waits behind the head of the line", func(t *testing.T, w way) {
		var gone discards
		for key := range w.loop(t, t.Context(), seconds(1, 10, 3, 2, 11), await.OnDiscard(gone.note)) {
			if key == 1 {
				break
			}
		}
		switch {
		case w.queue:
			require.Empty(t, gone.values)
		case w.ordered:
			require.Equal(t, []int{3, 2, 4}, gone.values)
		default:
			require.Equal(t, []int{4}, gone.values)
		}
	})
	t.Run("is called for the losers of First, of the same instant too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gone discards
			_, winner, err := await.First(await.AsCompleted(t.Context(), seconds(1, 1, 1), await.OnDiscard(gone.note)))
			require.NoError(t, err)
			require.ElementsMatch(t, []int{0, 1, 2}, append(gone.values, winner))
		})
	})
	runDoors(t, "is called for what a panic kept from the caller", func(t *testing.T, d door) {
		var gone discards
		requireRaised(t, "boom", func() {
			d.run(t, t.Context(), []await.Task[int]{
				tasktest.Deaf(time.Second, 10), exploding(2*time.Second, "boom"), tasktest.Deaf(4*time.Second, 30), tasktest.Deaf(3*time.Second, 40),
			}, await.OnDiscard(gone.note))
		})
		switch {
		case d.way.queue:
			require.Empty(t, gone.values)
		case d.way.name != "":
			require.Equal(t, []int{40, 30}, gone.values)
		default:
			require.Equal(t, []int{10, 40, 30}, gone.values, "Gather and Settle have returned nothing")
			requireRaised(t, "OnCancel's", func() {
				d.run(t, t.Context(), seconds(2, 1), await.OnDiscard(gone.note), await.OnCancel(func() { panic("OnCancel's") }))
			})
			require.ElementsMatch(t, []int{0, 1}, gone.values[3:])
		}
	})
	runWays(t, "comes after all tasks, the sequence and OnCancel", func(t *testing.T, w way) {
		if w.queue {
			return
		}
		log := newStartLog()
		for range w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(time.Second, 0), tasktest.Deaf(2*time.Second, 1),
			func(context.Context) (int, error) {
				time.Sleep(4 * time.Second)
				log.note("the last task")
				return 0, tasktest.ErrBoom
			},
		}, await.OnDiscard(func(int) { log.note("OnDiscard") }), await.OnCancel(func() {
			time.Sleep(4 * time.Second)
			log.note("OnCancel")
		})) {
			break
		}
		require.Equal(t, []string{"4s the last task", "5s OnCancel", "5s OnDiscard"}, log.lines)
	})
	t.Run("comes after the end of a sequence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			log := newStartLog()
			for range await.AsCompletedSeq(t.Context(), func(yield func(int, await.Task[int]) bool) {
				_ = yield(0, tasktest.Deaf(time.Second, 0)) && yield(1, tasktest.Deaf(2*time.Second, 1))
				time.Sleep(3 * time.Second)
				log.note("the sequence")
			}, await.OnDiscard(func(int) { log.note("OnDiscard") })) {
				break
			}
			require.Equal(t, []string{"3s the sequence", "3s OnDiscard"}, log.lines)
		})
	})
	runWays(t, "is called for every value even if a call panics, and the first panic is raised", func(t *testing.T, w way) {
		if w.queue {
			return
		}
		var gone discards
		raised := raisedBy(t, func() {
			for range w.loop(t, t.Context(), seconds(1, 2, 3, 4), await.OnDiscard(func(value int) {
				gone.note(value)
				explode(value)
			})) {
				break
			}
		})
		requirePanicError(t, raised, nil, 1)
		require.ErrorContains(t, raised, "OnDiscard")
		require.Equal(t, []int{1, 2, 3}, gone.values)
	})
	runWays(t, "its panic comes after a task's, the body's and OnCancel's", func(t *testing.T, w way) {
		if w.queue {
			return
		}
		calls := 0
		discard := await.OnDiscard(func(int) { calls++; panic("OnDiscard's") })
		requireRaised(t, "the task's", func() {
			for range w.loop(t, t.Context(), []await.Task[int]{tasktest.Deaf(time.Second, 0), exploding(2*time.Second, "the task's"), tasktest.Deaf(3*time.Second, 2)}, discard) {
				break
			}
		})
		require.Equal(t, "the body's", tasktest.PanicOf(t, func() {
			for range w.loop(t, t.Context(), seconds(1, 2), discard) {
				panic("the body's")
			}
		}))
		requireRaised(t, "OnCancel's", func() {
			for range w.loop(t, t.Context(), seconds(1, 2), discard, await.OnCancel(func() { panic("OnCancel's") })) {
				break
			}
		})
		require.Equal(t, 3, calls)
	})
	runWays(t, "several are all called", func(t *testing.T, w way) {
		if w.queue {
			return
		}
		var one, two discards
		for range w.loop(t, t.Context(), seconds(1, 2, 3), await.OnDiscard(one.note), await.OnDiscard(two.note)) {
			break
		}
		require.Equal(t, []int{1, 2}, one.values)
		require.Equal(t, one.values, two.values)
	})
	t.Run("gets nil values too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			_, _, err := await.First(await.AsCompleted(t.Context(), tasktest.Copies(3, tasktest.Deaf[*int](time.Second, nil)),
				await.OnDiscard(func(value *int) { calls++; require.Nil(t, value) })))
			require.NoError(t, err)
			require.Equal(t, 2, calls)
		})
	})
	t.Run("of another type panics at the call, and names both types", func(t *testing.T) {
		ctx := t.Context()
		files := []await.Task[*os.File]{}
		for name, call := range map[string]func(...await.Option){
			"AsCompleted":    func(o ...await.Option) { await.AsCompleted(ctx, files, o...) },
			"InOrder":        func(o ...await.Option) { await.InOrder(ctx, files, o...) },
			"AsCompletedSeq": func(o ...await.Option) { await.AsCompletedSeq(ctx, slices.All(files), o...) },
			"InOrderSeq":     func(o ...await.Option) { await.InOrderSeq(ctx, slices.All(files), o...) },
			"Queue":          func(o ...await.Option) { new(await.Queue[string, *os.File]).AsCompleted(ctx, o...) },
			"Gather":         func(o ...await.Option) { _, _ = await.Gather(ctx, files, o...) },
			"Settle":         func(o ...await.Option) { await.Settle(ctx, files, o...) },
		} {
			t.Run(name, func(t *testing.T) {
				requireBadInput(t, "*os.File", func() { call(await.OnDiscard(func(string) {})) })
				requireBadInput(t, "string", func() { call(await.OnDiscard(func(string) {})) })
				requireBadInput(t, "io.Closer", func() { call(await.OnDiscard(func(io.Closer) {})) })
				right := await.OnDiscard(func(*os.File) {})
				call(right)
				requireBadInput(t, "option 1 is OnDiscard", func() { call(right, await.OnDiscard(func(string) {})) })
				requireBadInput(t, "option 1 is nil", func() { call(right, nil) })
			})
		}
	})
	t.Run("is refused by Gather2 and Gather3 at the call", func(t *testing.T) {
		var c counter
		task := c.one(tasktest.Deaf(0, 1))
		requireBadInput(t, "Gather2", func() { _, _, _ = await.Gather2(t.Context(), task, task, await.OnDiscard(func(int) {})) })
		requireBadInput(t, "OnDiscard", func() { _, _, _ = await.Gather2(t.Context(), task, task, await.OnDiscard(func(any) {})) })
		requireBadInput(t, "Gather3", func() { _, _, _, _ = await.Gather3(t.Context(), task, task, task, await.OnDiscard(func(int) {})) })
		requireBadInput(t, "OnDiscard", func() { _, _, _, _ = await.Gather3(t.Context(), task, task, task, await.OnDiscard(func(any) {})) })
		require.Zero(t, c.started.Load())
	})
	runExits(t, "is called when a late task of a detached call returns, and for the unread at once", func(t *testing.T, x exit, w way) {
		var gone discards
		start := time.Now()
		x.leave(w.loop(t, t.Context(), []await.Task[int]{
			tasktest.Deaf(1*time.Second, 10), tasktest.Deaf(2*time.Second, 11), tasktest.Deaf(9*time.Second, 12),
			tasktest.Failing[int](7*time.Second, tasktest.ErrBoom), tasktest.Deaf(8*time.Second, 13),
		}, await.Detach(), await.OnDiscard(gone.noteLate)), func() { time.Sleep(2 * time.Second) })
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, []int{11}, gone.all())
		afterDetached(time.Hour)
		require.Equal(t, []int{11, 13, 12}, gone.all())
	})
	runDoors(t, "is called for what returns after the context of a detached call has ended", func(t *testing.T, d door) {
		var gone discards
		d.run(t, endsAfter(t, 3*time.Second), []await.Task[int]{
			tasktest.Deaf(1*time.Second, 10), tasktest.Deaf(9*time.Second, 11), tasktest.Deaf(8*time.Second, 12), tasktest.Failing[int](7*time.Second, tasktest.ErrBoom),
		}, await.Detach(), await.OnDiscard(gone.noteLate))
		require.Empty(t, gone.all())
		afterDetached(time.Hour)
		require.Equal(t, []int{12, 11}, gone.all())
	})
	t.Run("is called for what returns after the error of a detached Gather", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gone discards
			values, err := await.Gather(t.Context(), []await.Task[int]{
				tasktest.Deaf(time.Second, 10), tasktest.Failing[int](2*time.Second, tasktest.ErrBoom), tasktest.Deaf(3*time.Second, 30),
			}, await.Detach(), await.OnDiscard(gone.noteLate))
			requireTaskError(t, err, 1, tasktest.ErrBoom)
			require.Equal(t, []int{10, 0, 0}, values)
			afterDetached(time.Hour)
			require.Equal(t, []int{30}, gone.all())
		})
	})
	t.Run("gets what Gather has collected when a panic of its own keeps that from the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gone discards
			raised := raisedBy(t, func() {
				_, _ = await.Gather(t.Context(), []await.Task[int]{
					tasktest.Deaf(time.Second, 10), tasktest.Failing[int](2*time.Second, tasktest.ErrBoom), tasktest.Deaf(3*time.Second, 30),
				}, await.OnCancel(func() { panic("cancel") }), await.OnDiscard(gone.note))
			})
			require.Equal(t, "cancel", raised.Value)
			require.Equal(t, []int{10, 30}, gone.all())
		})
	})
	t.Run("calls the others too, in order, if one panics over a late value, which the loop raises", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var gone discards
			negative := func(value int) { gone.noteLate(-value) }
			raised := raisedBy(t, func() {
				for range await.AsCompleted(endsAfter(t, time.Second), seconds(1, 2, 3)[1:], await.Detach(),
					await.OnDiscard(gone.noteLate), await.OnDiscard(func(int) { panic("late") }), await.OnDiscard(negative)) {
					time.Sleep(10 * time.Second)
				}
			})
			require.Equal(t, "late", raised.Value)
			require.Equal(t, []int{1, -1, 2, -2}, gone.all())
			afterDetached(time.Hour)
		})
	})
	// On real goroutines each value goes one way, whenever the context ends and
	// the loop is left.
	for name, opts := range map[string][]await.Option{"waiting": nil, "detached": {await.Detach()}} {
		runWaysForReal(t, "or the loop has each value, "+name, func(t *testing.T, w way) {
			if w.queue && name == "waiting" {
				return // see the tests of Queue
			}
			for round := range rounds(100) {
				const n = 40
				rng := rand.New(rand.NewPCG(5, uint64(round)))
				var values [n]atomic.Int32
				tasks := await.Times(n, func(_ context.Context, i int) (int, error) {
					if i%7 == 0 {
						return i, tasktest.ErrBoom
					}
					values[i].Add(1)
					runtime.Gosched()
					return i, nil
				})
				leaveAt := rng.IntN(2 * n)
				for _, r := range w.loop(t, tasktest.EndingSoon(t.Context(), 100_000), tasks, append(slices.Clip(opts),
					await.Limit(1+rng.IntN(5)), await.OnDiscard(func(i int) { values[i].Add(-1) }))...) {
					if r.Err == nil {
						values[r.Value].Add(-1)
					}
					if leaveAt--; leaveAt == 0 {
						break
					}
				}
				if name == "detached" {
					tasktest.RequireNoWorkers(t)
				}
				for i := range values {
					require.Zero(t, values[i].Load(), "value %d", i)
				}
			}
		})
	}
}

// requireFree fails unless exactly n places of l are free. It needs a bubble.
func requireFree(t *testing.T, l *await.Limiter, n int) {
	t.Helper()
	var c counter
	start := time.Now()
	await.Settle(t.Context(), c.wrap(tasktest.Copies(3*n, tasktest.Deaf(time.Second, 0))...), await.Within(l))
	require.Equal(t, 3*time.Second, time.Since(start), "some of the %d places are taken", n)
	require.EqualValues(t, n, c.peak.Load(), "there are more than %d places", n)
}

// requireAllPlaces fails unless n tasks within l can run at once, or hangs.
func requireAllPlaces(t *testing.T, l *await.Limiter, n int) {
	t.Helper()
	var in atomic.Int64
	open := make(chan struct{})
	await.Settle(t.Context(), tasktest.Copies(n, func(context.Context) (int, error) {
		if in.Add(1) == int64(n) {
			close(open)
		}
		<-open
		return 0, nil
	}), await.Within(l))
}

// ends are the ways in which a task of a second can end.
var ends = map[string]await.Task[int]{
	"return": tasktest.Deaf(time.Second, 0),
	"error":  tasktest.Failing[int](time.Second, tasktest.ErrBoom),
	"panic":  tasktest.Panicking[int](time.Second, "boom"),
	"Goexit": tasktest.Exiting[int](time.Second),
}

func TestWithin(t *testing.T) {
	runDoors(t, "is reached and never exceeded, and the smaller of limiter and limit counts", func(t *testing.T, d door) {
		for _, test := range []struct{ limiter, limit int }{{1, 100}, {2, 5}, {5, 2}, {3, 3}, {100, 100}} {
			l := await.NewLimiter(test.limiter)
			smaller := min(test.limiter, test.limit)
			for range 2 {
				start := time.Now()
				var c counter
				d.run(t, t.Context(), c.wrap(tasktest.Copies(6*smaller, tasktest.After(time.Second, 0))...), await.Within(l), await.Limit(test.limit))
				require.EqualValues(t, smaller, c.peak.Load())
				require.Equal(t, 6*time.Second, time.Since(start))
			}
			requireFree(t, l, test.limiter)
		}
	})
	runDoors(t, "lets tasks start in input order, each when another ends", func(t *testing.T, d door) {
		log := newStartLog()
		d.run(t, t.Context(), log.of("", seconds(3, 1, 1, 5, 1, 1, 4)...), await.Within(await.NewLimiter(2)))
		require.Equal(t, []string{"0s 0", "0s 1", "1s 2", "2s 3", "3s 4", "4s 5", "5s 6"}, log.sorted())
	})
	for name, end := range ends {
		runDoors(t, "frees the place at the moment when its task ends by "+name, func(t *testing.T, d door) {
			l := await.NewLimiter(1)
			log := newStartLog()
			var group sync.WaitGroup
			group.Go(func() {
				d.run(t, t.Context(), log.of("a", slices.Concat(seconds(1), []await.Task[int]{end}, seconds(1))...), await.Within(l), await.Recover())
			})
			synctest.Wait()
			await.Settle(t.Context(), log.of("b", seconds(1, 1)...), await.Within(l))
			group.Wait()
			want := []string{"0s a0", "1s a1", "2s b0", "3s a2", "4s b1"}
			if d.failsFast() && name != "return" {
				want = []string{"0s a0", "1s a1", "2s b0", "3s b1"}
			}
			require.Equal(t, want, log.lines)
			requireFree(t, l, 1)
		})
	}
	runExits(t, "keeps no place when the loop is left", func(t *testing.T, x exit, w way) {
		l := await.NewLimiter(2)
		var c counter
		start := time.Now()
		x.leave(w.loop(t, t.Context(), c.wrap(seconds(1, 5, 7, 1, 1)...), await.Within(l)), func() {
			synctest.Wait() // until the third runs, and another one waits for its place
		})
		require.Equal(t, 8*time.Second, time.Since(start))
		require.EqualValues(t, 3, c.started.Load())
		requireFree(t, l, 2)
	})
	runWays(t, "keeps no place for results that wait for the loop", func(t *testing.T, w way) {
		l := await.NewLimiter(1)
		for range w.loop(t, t.Context(), instant(10), await.Within(l), await.Limit(2), await.Buffer(0)) {
			synctest.Wait() // until tasks wait for the loop
			requireFree(t, l, 1)
		}
	})
	t.Run("ends the wait for a place with the context, and what waited has not started", func(t *testing.T) {
		for _, e := range endings {
			runDoors(t, e.name, func(t *testing.T, d door) {
				l := await.NewLimiter(1)
				var group sync.WaitGroup
				group.Go(func() { await.Settle(t.Context(), seconds(3600), await.Within(l)) })
				synctest.Wait()
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				var c counter
				start := time.Now()
				results := d.run(t, ctx, c.wrap(seconds(1, 1, 1)...), await.Within(l))
				took := time.Since(start)
				group.Wait()
				require.Equal(t, 3*time.Second, took)
				require.Zero(t, c.started.Load())
				if !d.way.queue {
					requireNotStarted(t, results[0].Err, e.cause, e.err)
				}
				requireFree(t, l, 1)
			})
		}
	})
	runDoors(t, "starts nothing, although places are free, when the context has ended", func(t *testing.T, d door) {
		l := await.NewLimiter(2)
		var c counter
		results := d.run(t, endsAfter(t, 0), c.wrap(seconds(1, 1, 1)...), await.Within(l))
		require.Zero(t, c.started.Load())
		requireFree(t, l, 2)
		if !d.way.queue {
			requireNotStarted(t, results[0].Err, tasktest.ErrBoom, context.Canceled)
		}
	})
	t.Run("leaves what waited for a place in a queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := await.NewLimiter(1)
			var group sync.WaitGroup
			group.Go(func() { await.Settle(t.Context(), seconds(60), await.Within(l)) })
			synctest.Wait()
			q := queueOf(seconds(1, 1, 1)...)
			require.Empty(t, arrivals(q.AsCompleted(endsAfter(t, time.Second), await.Within(l))))
			require.Equal(t, 3, q.Len())
			require.Equal(t, []int{0, 1, 2}, keysOf(arrivals(q.AsCompleted(t.Context(), await.Within(l)))))
			group.Wait()
		})
	})
	// What comes first at that second is for the scheduler, so there are rounds.
	runDoors(t, "lets nothing start with the place of a task that panics, or fails a Gather", func(t *testing.T, d door) {
		for range 20 {
			l := await.NewLimiter(2)
			var c counter
			start := time.Now()
			requireRaised(t, "boom", func() {
				d.run(t, t.Context(), c.wrap(slices.Concat([]await.Task[int]{exploding(time.Second, "boom"), tasktest.After(time.Hour, 0)}, seconds(1, 1, 1))...), await.Within(l))
			})
			if d.failsFast() {
				d.run(t, t.Context(), c.wrap(slices.Concat([]await.Task[int]{tasktest.Failing[int](time.Second, tasktest.ErrBoom), tasktest.After(time.Hour, 0)}, seconds(1, 1, 1))...), await.Within(l))
				require.EqualValues(t, 2+2, c.started.Load())
				require.Equal(t, 2*time.Second, time.Since(start))
			} else {
				require.EqualValues(t, 2, c.started.Load())
				require.Equal(t, time.Second, time.Since(start))
			}
			requireFree(t, l, 2)
		}
	})
	runDoorsForReal(t, "lets nothing start at the moment of a panic", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		for range rounds(2000) {
			second := false
			tasktest.PanicOf(t, func() {
				d.run(t, t.Context(), []await.Task[int]{
					func(context.Context) (int, error) {
						for range 50 {
							runtime.Gosched() // until another one waits for the place
						}
						panic("boom")
					},
					func(context.Context) (int, error) { second = true; return 0, nil },
				}, await.Within(l))
			})
			require.False(t, second)
		}
		tasktest.RequireNoWorkers(t)
	})
	t.Run("lets the next one in when one gives up waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := await.NewLimiter(1)
			log := newStartLog()
			var group sync.WaitGroup
			begin := func(ctx context.Context, name string) {
				group.Go(func() { await.Settle(ctx, log.of(name, seconds(4)...), await.Within(l)) })
				synctest.Wait()
			}
			begin(t.Context(), "first")
			begin(endsAfter(t, 2*time.Second), "impatient")
			begin(t.Context(), "second")
			group.Wait()
			require.Equal(t, []string{"0s first0", "4s second0"}, log.lines)
			requireFree(t, l, 1)
		})
	})
	for _, stream := range []string{"AsCompletedSeq", "InOrderSeq"} {
		over := func(ctx context.Context, tasks iter.Seq2[int, await.Task[int]], opts ...await.Option) results {
			if stream == "InOrderSeq" {
				return await.InOrderSeq(ctx, tasks, opts...)
			}
			return await.AsCompletedSeq(ctx, tasks, opts...)
		}
		t.Run("holds no place while a sequence is pulled: "+stream, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(1)
				start := time.Now()
				ended := make(chan []arrival)
				go func() {
					ended <- arrivals(over(t.Context(), func(yield func(int, await.Task[int]) bool) {
						for i := range 3 {
							time.Sleep(time.Hour)
							if !yield(i, tasktest.Deaf(time.Second, i)) {
								return
							}
						}
						time.Sleep(time.Hour)
					}, await.Within(l)))
				}()
				for range 4 {
					time.Sleep(30 * time.Minute)
					requireFree(t, l, 1)
					time.Sleep(30*time.Minute - 3*time.Second)
				}
				require.Equal(t, []int{0, 1, 2}, keysOf(<-ended))
				require.Equal(t, 4*time.Hour, time.Since(start))
			})
		})
		t.Run("pulls at most one task that then waits for its place: "+stream, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(2)
				var pulled atomic.Int64
				var c counter
				endless := func(yield func(int, await.Task[int]) bool) {
					for i := 0; ; i++ {
						pulled.Add(1)
						if !yield(i, c.one(tasktest.Deaf(time.Second, i))) {
							return
						}
					}
				}
				var group sync.WaitGroup
				group.Go(func() { await.Settle(t.Context(), seconds(10, 10), await.Within(l)) })
				synctest.Wait()
				time.AfterFunc(5*time.Second, func() { // while both places are taken
					assert.LessOrEqual(t, pulled.Load(), int64(1))
					assert.Zero(t, c.started.Load())
				})
				for key := range over(t.Context(), endless, await.Within(l)) {
					synctest.Wait()
					require.LessOrEqual(t, pulled.Load()-c.started.Load(), int64(1))
					if key == 20 {
						break
					}
				}
				group.Wait()
				requireFree(t, l, 2)
			})
		})
	}
	// A context of a foreign type ends while a worker waits for its place, and
	// does not tell its children. The worker has to ask it.
	runDoors(t, "starts nothing after the wait if a context that tells nobody has ended", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(10), await.Within(l)) })
		synctest.Wait()
		ctx := &silentContext{Context: t.Context(), done: make(chan struct{})}
		time.AfterFunc(time.Second, func() { close(ctx.done) })
		var c counter
		d.run(t, ctx, c.wrap(seconds(1, 1)...), await.Within(l))
		require.Zero(t, c.started.Load())
		group.Wait()
		requireFree(t, l, 1)
	})
}

// A silentContext tells nobody of its end.
type silentContext struct {
	context.Context
	done chan struct{}
}

func (c *silentContext) Done() <-chan struct{} { return c.done }

func (c *silentContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// AfterFunc is what package context calls to learn of the end.
func (c *silentContext) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }

func TestLimiter(t *testing.T) {
	runDoors(t, "gives places in the order in which calls asked, to one task of each at a time", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			group.Go(func() { d.run(t, t.Context(), log.of(name, seconds(1, 1, 1)...), await.Within(l)) })
			synctest.Wait() // until it runs, or waits for its first place
		}
		group.Wait()
		require.Equal(t, []string{"0s a0", "1s a1", "2s b0", "3s c0", "4s a2", "5s b1", "6s c1", "7s b2", "8s c2"}, log.lines)
	})
	t.Run("is shared by calls of every kind, and no place is idle while one waits", func(t *testing.T) {
		for _, n := range []int{1, 2, 4, 7} {
			synctest.Test(t, func(t *testing.T) {
				l := await.NewLimiter(n)
				var c counter
				tasks := 0
				start := time.Now()
				var group sync.WaitGroup
				begin := func(f func(tasks []await.Task[int])) {
					group.Go(func() { f(c.wrap(tasktest.Copies(4, tasktest.After(time.Second, 0))...)) })
					tasks += 4
				}
				for _, d := range doors {
					begin(func(tasks []await.Task[int]) { d.run(t, t.Context(), tasks, await.Within(l)) })
				}
				begin(func(tasks []await.Task[int]) {
					_, _, _ = await.Gather2(t.Context(), tasks[0], tasks[1], await.Within(l))
					_, _, _ = await.Gather2(t.Context(), tasks[2], tasks[3], await.Within(l))
				})
				group.Wait()
				require.EqualValues(t, tasks, c.started.Load())
				require.EqualValues(t, n, c.peak.Load())
				require.Equal(t, time.Duration((tasks+n-1)/n)*time.Second, time.Since(start))
				requireFree(t, l, n)
			})
		}
	})
	t.Run("limits each of two stages", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const n = 30
			first, second := await.NewLimiter(3), await.NewLimiter(5)
			var stages [2]counter
			q := queueOf(stages[0].wrap(tasktest.Copies(n, tasktest.Deaf(time.Second, 0))...)...)
			for _, r := range await.AsCompletedSeq(t.Context(), func(yield func(int, await.Task[int]) bool) {
				for key, r := range q.AsCompleted(t.Context(), await.Within(first)) {
					if !yield(key, stages[1].one(tasktest.Deaf(5*time.Second/3, r.Value))) {
						return
					}
				}
			}, await.Within(second)) {
				require.NoError(t, r.Err)
			}
			require.EqualValues(t, 3, stages[0].peak.Load())
			require.EqualValues(t, 5, stages[1].peak.Load())
			require.EqualValues(t, n, stages[1].started.Load())
		})
	})
	runWaysForReal(t, "loses no place that comes when the loop has been left, or the context has ended", func(t *testing.T, w way) {
		for _, opts := range [][]await.Option{nil, {await.Detach()}} {
			l := await.NewLimiter(2)
			for range rounds(2000) {
				for range w.loop(t, tasktest.EndingSoon(t.Context(), 20_000), instant(6), append(slices.Clip(opts), await.Limit(4), await.Within(l))...) {
					break
				}
			}
			requireAllPlaces(t, l, 2)
		}
	})
	// A worker that finds the queue empty may find a task a moment later. It must
	// wait for a place then too.
	t.Run("holds when a task is added to a queue as a worker leaves", func(t *testing.T) {
		n := rounds(5000)
		var c counter
		var ended atomic.Int64
		brief := c.one(func(context.Context) (int, error) {
			for range 3 {
				runtime.Gosched()
			}
			ended.Add(1)
			return 0, nil
		})
		var group sync.WaitGroup
		// One task has a place all the time, so that the loop does not end.
		q := queueOf(c.one(func(context.Context) (int, error) { group.Wait(); return 0, nil }))
		group.Go(func() {
			wait := func(n int) {
				for ended.Load() < int64(n) {
					runtime.Gosched()
				}
			}
			for round := range n {
				q.Add(1, brief)
				wait(3*round + 1)
				for range round % 500 { // a worker needs some time to come back
					ended.Load()
				}
				q.Add(1, brief)
				q.Add(1, brief)
				wait(3*round + 3)
			}
		})
		require.Len(t, arrivals(q.AsCompleted(t.Context(), await.Within(await.NewLimiter(2)))), 1+3*n)
		require.EqualValues(t, 2, c.peak.Load())
		tasktest.RequireNoWorkers(t)
	})
}

// nested is a task that makes a call for width tasks, each of which does the
// same, until at depth 0 it is leaf.
func nested(t *testing.T, d door, width, depth int, leaf await.Task[int], opts ...await.Option) await.Task[int] {
	t.Helper()
	if depth == 0 {
		return leaf
	}
	below := tasktest.Copies(width, nested(t, d, width, depth-1, leaf, opts...))
	return func(ctx context.Context) (int, error) {
		var errs []error
		for _, result := range d.run(t, ctx, below, opts...) {
			errs = append(errs, result.Err)
		}
		return 0, errors.Join(errs...)
	}
}

// requireBusy fails if so many leaves of a second each have taken too little
// time for the places, or twice as much. A place is idle while its task waits
// for another of its own that has a place from elsewhere. With one place there
// is no elsewhere, and the time is exact.
func requireBusy(t *testing.T, leaves, places int, took time.Duration) {
	t.Helper()
	least := time.Duration((leaves+places-1)/places) * time.Second
	require.GreaterOrEqual(t, took, least, "%d places", places)
	require.Less(t, took, 2*least, "%d places", places)
	if places == 1 {
		require.Equal(t, least, took)
	}
}

func TestWithinNested(t *testing.T) {
	runDoors(t, "of any depth reaches the limit and never exceeds it, be it 1", func(t *testing.T, d door) {
		for places := 1; places <= 3; places++ {
			for _, shape := range []struct{ width, depth, leaves int }{{2, 5, 32}, {3, 4, 81}} {
				l := await.NewLimiter(places)
				var c counter
				start := time.Now()
				_, err := nested(t, d, shape.width, shape.depth, c.one(tasktest.Deaf(time.Second, 0)), await.Within(l))(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, shape.leaves, c.started.Load())
				require.EqualValues(t, places, c.peak.Load())
				requireBusy(t, shape.leaves, places, time.Since(start))
				requireFree(t, l, places)
			}
		}
	})

	// inside runs f in the one task of a call within l.
	inside := func(t *testing.T, l *await.Limiter, f func(ctx context.Context)) {
		t.Helper()
		await.Settle(t.Context(), []await.Task[int]{func(ctx context.Context) (int, error) { f(ctx); return 0, nil }}, await.Within(l))
	}
	runDoors(t, "uses free places beside the one that it is lent", func(t *testing.T, d door) {
		for places, want := range map[int]time.Duration{1: 3 * time.Second, 2: 2 * time.Second, 3: time.Second, 9: time.Second} {
			l := await.NewLimiter(places)
			start := time.Now()
			inside(t, l, func(ctx context.Context) { d.run(t, ctx, seconds(1, 1, 1), await.Within(l)) })
			require.Equal(t, want, time.Since(start), "%d places", places)
			requireFree(t, l, places)
		}
	})
	// The first inner task has the lent place until second 10. At second 3
	// another call gives a place back.
	runDoors(t, "gets a place that comes free elsewhere", func(t *testing.T, d door) {
		l := await.NewLimiter(2)
		log := newStartLog()
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(3), await.Within(l)) })
		synctest.Wait()
		inside(t, l, func(ctx context.Context) { d.run(t, ctx, log.of("inner", seconds(10, 1, 1)...), await.Within(l)) })
		group.Wait()
		require.Equal(t, []string{"0s inner0", "3s inner1", "4s inner2"}, log.lines)
		requireFree(t, l, 2)
	})
	// The other way round: the place elsewhere is taken for a minute.
	runDoors(t, "gets the lent place when it comes back, ahead of strangers that asked before", func(t *testing.T, d door) {
		l := await.NewLimiter(2)
		log := newStartLog()
		var group sync.WaitGroup
		group.Go(func() { await.Settle(t.Context(), seconds(60), await.Within(l)) })
		synctest.Wait()
		group.Go(func() {
			inside(t, l, func(ctx context.Context) { d.run(t, ctx, log.of("inner", seconds(2, 2, 2)...), await.Within(l)) })
		})
		synctest.Wait()
		await.Settle(t.Context(), log.of("outer", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"0s inner0", "2s inner1", "4s inner2", "6s outer0"}, log.lines)
		requireFree(t, l, 2)
	})
	runDoors(t, "several calls of one task get its place in the order in which they asked", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		inside(t, l, func(ctx context.Context) {
			var group sync.WaitGroup
			for _, name := range []string{"a", "b", "c"} {
				group.Go(func() { d.run(t, ctx, log.of(name, seconds(1, 1)...), await.Within(l)) })
				synctest.Wait()
			}
			group.Wait()
		})
		require.Equal(t, []string{"0s a0", "1s a1", "2s b0", "3s c0", "4s b1", "5s c1"}, log.lines)
	})
	runDoors(t, "a task keeps its place before, between and after its calls", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		var group sync.WaitGroup
		group.Go(func() {
			inside(t, l, func(ctx context.Context) {
				for range 2 {
					time.Sleep(time.Second)
					d.run(t, ctx, log.of("inner", seconds(1, 1)...), await.Within(l))
				}
				time.Sleep(time.Second)
			})
		})
		synctest.Wait()
		await.Settle(t.Context(), log.of("other", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"1s inner0", "2s inner1", "4s inner0", "5s inner1", "7s other0"}, log.lines)
		requireFree(t, l, 1)
	})
	runDoors(t, "knows its task by any context made from the task's", func(t *testing.T, d door) {
		type key struct{}
		for name, derive := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"cancel": context.WithCancel,
			"timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Hour)
			},
			"value": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithValue(ctx, key{}, 1), func() {}
			},
			"without cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithoutCancel(ctx), func() {}
			},
		} {
			l := await.NewLimiter(1)
			var c counter
			inside(t, l, func(ctx context.Context) {
				ctx, cancel := derive(ctx)
				defer cancel()
				d.run(t, ctx, c.wrap(seconds(1, 1)...), await.Within(l))
			})
			require.EqualValues(t, 2, c.started.Load(), name)
			require.EqualValues(t, 1, c.peak.Load(), name)
		}
	})
	runDoors(t, "waits like a stranger with any other context", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		var c counter
		start := time.Now()
		other := endsAfter(t, time.Minute)
		inside(t, l, func(context.Context) { d.run(t, other, c.wrap(seconds(1)...), await.Within(l)) })
		require.Zero(t, c.started.Load())
		require.Equal(t, time.Minute, time.Since(start))
		requireFree(t, l, 1)
	})
	// A task leaves a goroutine behind that makes a call with its context. By
	// then the task's place is another's.
	runDoors(t, "is lent nothing by a task that has ended", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		var late sync.WaitGroup
		await.Settle(t.Context(), slices.Concat([]await.Task[int]{func(ctx context.Context) (int, error) {
			late.Go(func() {
				time.Sleep(time.Second)
				d.run(t, context.WithoutCancel(ctx), log.of("late", seconds(1, 1)...), await.Within(l))
			})
			return 0, nil
		}}, log.of("sibling", seconds(2, 2)...)), await.Within(l))
		late.Wait()
		require.Equal(t, []string{"0s sibling0", "2s sibling1", "4s late0", "5s late1"}, log.lines)
		requireFree(t, l, 1)
	})
	// Here that task has ended too, but not the one above it, whose only place it
	// is, and which waits for the goroutine.
	runDoors(t, "is lent by a task that has ended what the task above it lends", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		inside(t, l, func(ctx context.Context) {
			var late sync.WaitGroup
			await.Settle(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
				late.Go(func() {
					time.Sleep(time.Second)
					d.run(t, context.WithoutCancel(ctx), log.of("late", seconds(1, 1)...), await.Within(l))
				})
				return 0, nil
			}}, await.Within(l))
			late.Wait()
		})
		require.Equal(t, []string{"1s late0", "2s late1"}, log.lines)
		requireFree(t, l, 1)
	})
	runDoors(t, "within another limiter is limited by both", func(t *testing.T, d door) {
		outer, inner := await.NewLimiter(3), await.NewLimiter(2)
		var c, deep counter
		start := time.Now()
		await.Settle(t.Context(), tasktest.Copies(3, func(ctx context.Context) (int, error) {
			d.run(t, ctx, c.wrap(tasktest.Copies(2, func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				// Two levels up a place of the outer limiter is held, and lent.
				d.run(t, ctx, deep.wrap(seconds(1, 1)...), await.Within(outer))
				return 0, nil
			})...), await.Within(inner))
			return 0, nil
		}), await.Within(outer))
		require.EqualValues(t, 6, c.started.Load())
		require.EqualValues(t, 2, c.peak.Load())
		require.EqualValues(t, 12, deep.started.Load())
		require.LessOrEqual(t, deep.peak.Load(), int64(3))
		require.Less(t, time.Since(start), 24*time.Second)
		requireFree(t, outer, 3)
		requireFree(t, inner, 2)
	})
	runDoors(t, "without a limiter is not limited", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		var c counter
		inside(t, l, func(ctx context.Context) { d.run(t, ctx, c.wrap(seconds(1, 1, 1, 1, 1)...)) })
		require.EqualValues(t, 5, c.peak.Load())
	})
	// Of three inner tasks one runs when the loop is left, which waits for it, and
	// one has not started.
	runExits(t, "gives the lent place back when its loop is left", func(t *testing.T, x exit, w way) {
		l := await.NewLimiter(1)
		log := newStartLog()
		await.Settle(t.Context(), tasktest.Copies(2, func(ctx context.Context) (int, error) {
			for range 2 {
				x.leave(w.loop(t, ctx, log.of("", seconds(1, 3, 1)...), await.Within(l)), func() {
					synctest.Wait() // until the second runs
				})
			}
			time.Sleep(time.Second)
			return 0, nil
		}), await.Within(l))
		require.Equal(t, []string{"0s 0", "1s 1", "4s 0", "5s 1", "9s 0", "10s 1", "13s 0", "14s 1"}, log.lines)
		requireFree(t, l, 1)
	})
	// The inner loop leaves a task behind until second 10, and with it the lent
	// place. The outer task ends at second 3.
	runWays(t, "gives the lent place back with the last of its tasks, when it is detached", func(t *testing.T, w way) {
		l := await.NewLimiter(1)
		log := newStartLog()
		var group sync.WaitGroup
		group.Go(func() {
			inside(t, l, func(ctx context.Context) {
				for range w.loop(t, ctx, log.of("left", seconds(1, 9, 1)...), await.Within(l), await.Detach()) {
					synctest.Wait() // until the second runs
					break
				}
				time.Sleep(2 * time.Second)
			})
			log.note("end")
		})
		synctest.Wait()
		await.Settle(t.Context(), log.of("other", seconds(1)...), await.Within(l))
		group.Wait()
		require.Equal(t, []string{"0s left0", "1s left1", "3s end", "10s other0"}, log.lines)
		requireFree(t, l, 1)
	})
	runDoors(t, "waits for the lent place that an earlier, detached call has left with its task", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		inside(t, l, func(ctx context.Context) {
			for range await.AsCompleted(ctx, log.of("left", seconds(1, 9)...), await.Within(l), await.Detach()) {
				synctest.Wait()
				break
			}
			d.run(t, ctx, log.of("later", seconds(1, 1)...), await.Within(l))
		})
		require.Equal(t, []string{"0s left0", "1s left1", "10s later0", "11s later1"}, log.lines)
		requireFree(t, l, 1)
	})
	runDoors(t, "that is detached keeps the place until its task returns", func(t *testing.T, d door) {
		l := await.NewLimiter(1)
		log := newStartLog()
		d.run(t, endsAfter(t, time.Second), log.of("left", seconds(5, 5)...), await.Within(l), await.Detach())
		require.Equal(t, time.Second, time.Since(log.begin))
		await.Settle(t.Context(), log.of("next", seconds(1)...), await.Within(l))
		require.Equal(t, []string{"0s left0", "5s next0"}, log.lines)
		requireFree(t, l, 1)
	})
	// At second 3 one inner task has the lent place and obeys its context. Those
	// that wait must not start on what it gives back.
	runDoors(t, "starts none of its waiting tasks when the outer context ends", func(t *testing.T, d door) {
		for range 20 {
			l := await.NewLimiter(1)
			var c counter
			start := time.Now()
			await.Settle(endsAfter(t, 3*time.Second), tasktest.Copies(2, func(ctx context.Context) (int, error) {
				d.run(t, ctx, c.wrap(tasktest.Copies(3, tasktest.After(time.Hour, 0))...), await.Within(l))
				return 0, nil
			}), await.Within(l))
			require.Equal(t, 3*time.Second, time.Since(start))
			require.EqualValues(t, 1, c.started.Load())
			requireFree(t, l, 1)
		}
	})
	runDoors(t, "ends with the outer loop, however many wait", func(t *testing.T, d door) {
		l := await.NewLimiter(2)
		var c counter
		start := time.Now()
		for range await.AsCompleted(t.Context(), slices.Concat(seconds(1), tasktest.Copies(5, func(ctx context.Context) (int, error) {
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() { d.run(t, ctx, c.wrap(tasktest.Copies(5, tasktest.After(time.Hour, 0))...), await.Within(l)) })
			}
			group.Wait()
			return 0, nil
		})), await.Within(l)) {
			synctest.Wait()
			break
		}
		require.Equal(t, time.Second, time.Since(start))
		require.LessOrEqual(t, c.peak.Load(), int64(2))
		require.Zero(t, c.running.Load())
		requireFree(t, l, 2)
	})
	runDoors(t, "costs no place, however its tasks end", func(t *testing.T, d door) {
		l := await.NewLimiter(2)
		for name, end := range ends {
			start := time.Now()
			_, err := nested(t, d, 1, 4, end, await.Within(l), await.Recover())(t.Context())
			require.Equal(t, name == "return", err == nil)
			require.Equal(t, time.Second, time.Since(start))
			requireFree(t, l, 2)
		}
		var c counter
		raised := raisedBy(t, func() {
			_, _ = nested(t, d, 3, 3, c.one(func(ctx context.Context) (int, error) {
				if c.started.Load() == 7 {
					return exploding(time.Second, tasktest.ErrBoom)(ctx)
				}
				return tasktest.Deaf(time.Second, 0)(ctx)
			}), await.Within(l))(t.Context())
		})
		require.ErrorIs(t, raised, tasktest.ErrBoom)
		require.Zero(t, c.running.Load())
		requireFree(t, l, 2)
	})
	// The call has more workers than places, so that most tasks wait for the lent
	// place or another, whichever is first. What is left of each wait would add up
	// to megabytes.
	t.Run("takes constant memory, however long it is", func(t *testing.T) {
		l := await.NewLimiter(2)
		inside(t, l, func(ctx context.Context) {
			taken, start := 0, 0
			for range await.AsCompletedSeq(ctx, func(yield func(int, await.Task[int]) bool) {
				for yield(0, func(context.Context) (int, error) {
					for range 10 {
						runtime.Gosched() // to the other workers
					}
					return 0, nil
				}) {
				}
			}, await.Limit(4), await.Within(l)) {
				if taken++; taken == 1000 {
					start = heapInUse()
				} else if taken == 20_000 {
					assert.Less(t, heapInUse(), start+1<<20)
					break
				}
			}
		})
	})
	t.Run("keeps nothing of a call that has waited for the lent place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			var kept weak.Pointer[page]
			l := await.NewLimiter(1)
			inside(t, l, func(ctx context.Context) {
				var group sync.WaitGroup
				group.Go(func() { await.Settle(ctx, seconds(1), await.Within(l)) })
				time.Sleep(time.Millisecond)
				group.Go(func() {
					value := new(page)
					kept = weak.Make(value)
					await.Settle(context.WithValue(ctx, key{}, value), seconds(1, 1), await.Within(l))
				})
				group.Wait()
				runtime.GC()
				assert.Nil(t, kept.Value())
			})
		})
	})
}
