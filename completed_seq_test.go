package await_test

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"math"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// seqStreamer is AsCompletedSeq or InOrderSeq. Most of their contract is the
// same.
type seqStreamer = func(context.Context, iter.Seq2[int, await.Task[int]], ...await.Option) iter.Seq2[int, await.Result[int]]

var seqStreamers = []struct {
	name   string
	stream seqStreamer
}{
	{"AsCompletedSeq", await.AsCompletedSeq[int, int]},
	{"InOrderSeq", await.InOrderSeq[int, int]},
}

// bothSeqs runs a test in a bubble of its own for AsCompletedSeq and for
// InOrderSeq.
func bothSeqs(t *testing.T, test func(t *testing.T, stream seqStreamer)) {
	t.Helper()
	for _, s := range seqStreamers {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, s.stream) })
		})
	}
}

// bothSeqsOutside is bothSeqs with real goroutines and real time.
func bothSeqsOutside(t *testing.T, test func(t *testing.T, stream seqStreamer)) {
	t.Helper()
	for _, s := range seqStreamers {
		t.Run(s.name, func(t *testing.T) {
			test(t, s.stream)
			requireNoWorkers(t)
		})
	}
}

// endless is the n of a well that never runs dry.
const endless = -1

// well is a sequence of tasks that keeps account of what becomes of it. Task i
// has the key i.
type well struct {
	n    int                         // how many tasks
	task func(i int) await.Task[int] // makes task i
	step func(i int)                 // on the way to task i, and at last to the end, which is step n; may be nil
	bare bool                        // tasks are offered as they are

	census
	pulled atomic.Int64 // tasks offered

	// These are not locked, because one goroutine at a time pulls and the end
	// of the loop comes after all that. The race detector would tell.
	begun   int // how often the sequence was called
	cleaned int // how often what it deferred has run
}

func (w *well) seq(yield func(int, await.Task[int]) bool) {
	w.begun++
	defer func() { w.cleaned++ }()
	for i := 0; ; i++ {
		if w.step != nil {
			w.step(i)
		}
		if i == w.n {
			return
		}
		task := w.task(i)
		if !w.bare {
			task = w.wrap(task)[0]
		}
		w.pulled.Add(1)
		if !yield(i, task) {
			return
		}
	}
}

// wellOf is a well of these tasks.
func wellOf(tasks ...await.Task[int]) *well {
	return &well{n: len(tasks), task: func(i int) await.Task[int] { return tasks[i] }}
}

// spring is an endless well of tasks that each take d, whatever happens.
func spring(d time.Duration) *well {
	return &well{n: endless, task: func(i int) await.Task[int] { return deaf(d, i) }}
}

// requireUntouched fails if the sequence was called at all.
func (w *well) requireUntouched(t *testing.T) {
	t.Helper()
	require.Zero(t, w.begun)
	require.Zero(t, w.pulled.Load())
	require.Zero(t, w.started.Load())
}

// requireOver fails unless the sequence was called once and is cleaned up, and
// no task runs.
func (w *well) requireOver(t *testing.T) {
	t.Helper()
	require.Equal(t, 1, w.begun)
	require.Equal(t, 1, w.cleaned)
	require.Zero(t, w.running.Load())
}

// naturals are 0, 1, 2 and so on.
func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// below are the numbers from 0 to n-1.
func below(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// Start.

func TestCallingASeqStreamPullsNothing(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(seconds(0, 0)...)
		seq := stream(t.Context(), w.seq)
		time.Sleep(time.Hour)
		w.requireUntouched(t)
		require.Len(t, arrivals(seq), 2)
		w.requireOver(t)
	})
}

func TestRangingAgainPullsTheSequenceAnew(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(seconds(1, 2, 3)...)
		seq := stream(t.Context(), w.seq, await.Limit(2))
		first := arrivals(seq)
		require.Equal(t, first, arrivals(seq))
		require.Equal(t, 2, w.begun)
		require.Equal(t, 2, w.cleaned)
		require.EqualValues(t, 6, w.started.Load())
	})
}

func TestRangingAgainAfterABreakPullsTheSequenceFromTheBeginning(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(seconds(1, 2, 3)...)
		seq := stream(t.Context(), w.seq)
		for range seq {
			break
		}
		require.Equal(t, []int{0, 1, 2}, indices(arrivals(seq)))
		require.Equal(t, 2, w.cleaned)
	})
}

func TestRangingASeqStreamFromTwoGoroutinesIsTwoRuns(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		var c census
		seq := stream(t.Context(), slices.All(c.wrap(seconds(1, 2, 3)...)))
		var got [2][]arrival
		var group sync.WaitGroup
		for k := range got {
			group.Go(func() { got[k] = arrivals(seq) })
		}
		group.Wait()
		require.Equal(t, []int{0, 1, 2}, indices(got[0]))
		require.Equal(t, got[0], got[1])
		require.EqualValues(t, 6, c.started.Load())
		require.EqualValues(t, 6, c.peak.Load())
	})
}

func TestManyGoroutinesMayRangeTheSameSeqStream(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		seq := stream(t.Context(), slices.All(instant(100)), await.Limit(3))
		var got [8][]int
		var group sync.WaitGroup
		for k := range got {
			group.Go(func() { got[k] = indices(arrivals(seq)) })
		}
		group.Wait()
		for _, keys := range got {
			require.ElementsMatch(t, below(100), keys)
		}
	})
}

func TestRangingASeqStreamInsideItsOwnLoopIsAnotherRun(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		seq := stream(t.Context(), slices.All(seconds(1, 2)), await.Limit(1))
		inner := 0
		for range seq {
			inner += len(arrivals(seq))
		}
		require.Equal(t, 4, inner)
	})
}

func TestTheTasksOfASequenceGetAChildOfTheCallersContext(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 7), time.Hour)
		defer cancel()
		want, _ := ctx.Deadline()
		for _, r := range stream(ctx, slices.All([]await.Task[int]{func(ctx context.Context) (int, error) {
			if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
				return 0, errBoom
			}
			return ctx.Value(key{}).(int), nil
		}})) {
			require.Equal(t, await.Result[int]{Value: 7}, r)
		}
		require.NoError(t, ctx.Err(), "the end of the loop leaves the caller's context alone")
	})
}

// A task here waits until all are in. In a bubble, one that is missing is a
// deadlock, and the test fails at once.
func TestWithoutLimitEveryTaskThatIsPulledRunsAtOnce(t *testing.T) {
	for _, n := range []int{1, 2, 10, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				var in atomic.Int64
				open := make(chan struct{})
				w := &well{n: n, task: func(i int) await.Task[int] {
					return func(context.Context) (int, error) {
						if in.Add(1) == int64(n) {
							close(open)
						}
						<-open
						return i, nil
					}
				}}
				require.Len(t, arrivals(stream(t.Context(), w.seq)), n)
				w.requireOver(t)
			})
		})
	}
}

func TestWithoutLimitABlockedTaskDoesNotKeepTheSequenceFromBeingPulled(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(slices.Concat(seconds(9), instant(50), seconds(9), instant(50))...)
		start := time.Now()
		ended := make(chan []arrival)
		go func() { ended <- arrivals(stream(t.Context(), w.seq)) }()
		synctest.Wait()
		require.Zero(t, time.Since(start))
		require.EqualValues(t, w.n, w.started.Load())
		require.EqualValues(t, 2, w.running.Load())
		require.Equal(t, 1, w.cleaned, "the sequence is at its end")
		require.Len(t, <-ended, w.n)
	})
}

func TestLimitIsReachedAndNeverExceededOnASequence(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				for _, opts := range [][]await.Option{{await.Limit(n)}, {await.Limit(n), await.Buffer(0)}, {await.Buffer(50 * n), await.Limit(n)}} {
					w := wellOf(copies(10*n, deaf(time.Second, 0))...)
					start := time.Now()
					require.Len(t, arrivals(stream(t.Context(), w.seq, opts...)), 10*n)
					require.EqualValues(t, n, w.peak.Load())
					require.Equal(t, 10*time.Second, time.Since(start))
				}
			})
		})
	}
}

func TestWithLimitATaskOfASequenceStartsWhenAnotherEnds(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		durations := []int{3, 1, 1, 5, 1, 1, 4}
		starts := make([]time.Duration, len(durations))
		begin := time.Now()
		tasks := seconds(durations...)
		for i, task := range tasks {
			tasks[i] = func(ctx context.Context) (int, error) {
				starts[i] = time.Since(begin)
				return task(ctx)
			}
		}
		arrivals(stream(t.Context(), slices.All(tasks), await.Limit(2)))
		want := []time.Duration{0, 0, 1, 2, 3, 4, 5}
		for i := range want {
			want[i] *= time.Second
		}
		require.Equal(t, want, starts)
	})
}

func TestLimit1RunsASequenceInItsOrderOneAtATime(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		var order []int // not locked: the race detector would tell
		w := &well{n: 1000, task: func(i int) await.Task[int] {
			return func(context.Context) (int, error) {
				order = append(order, i)
				runtime.Gosched()
				return i, nil
			}
		}}
		got := arrivals(stream(t.Context(), w.seq, await.Limit(1)))
		require.Equal(t, below(1000), order)
		require.Equal(t, order, indices(got))
	})
}

// Results.

func TestAsCompletedSeqYieldsInFinishOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{1, 1, nil, 1 * time.Second},
			{2, 2, nil, 2 * time.Second},
			{0, 0, nil, 3 * time.Second},
		}, arrivals(await.AsCompletedSeq(t.Context(), slices.All(seconds(3, 1, 2)))))
	})
}

func TestAsCompletedSeqYieldsInFinishOrderAlsoWhenTheBodyIsSlow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			durations := rng.Perm(50) // all different
			want := make([]int, len(durations))
			for i, d := range durations {
				want[d] = i
			}
			var got []int
			for i := range await.AsCompletedSeq(t.Context(), slices.All(seconds(durations...))) {
				got = append(got, i)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Second)
			}
			require.Equal(t, want, got)
		})
	}
}

// A window of four moves over nine tasks. Each is released when the result of
// the one before is there.
func TestAsCompletedSeqYieldsInFinishOrderAcrossAMovingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := []int{1, 3, 2, 4, 5, 8, 9, 7, 6}
		gates := make([]chan struct{}, 10)
		for i := range gates {
			gates[i] = make(chan struct{})
		}
		numbers := func(yield func(int) bool) {
			for i := 1; i <= 9 && yield(i); i++ {
			}
		}
		seq := await.TaskSeq(numbers, func(_ context.Context, i int) (int, error) { <-gates[i]; return i, nil })
		close(gates[want[0]])
		var got []int
		for i, r := range await.AsCompletedSeq(t.Context(), seq, await.Limit(4)) {
			require.Equal(t, await.Result[int]{Value: i}, r)
			synctest.Wait() // until the window has moved
			got = append(got, i)
			if len(got) < len(want) {
				close(gates[want[len(got)]])
			}
		}
		require.Equal(t, want, got)
	})
}

func TestEveryTaskOfASequenceYieldsOneResult(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for _, n := range []int{0, 1, 2, 3, 100, 2000} {
			for _, opts := range [][]await.Option{
				nil,
				{await.Limit(1)},
				{await.Limit(7)},
				{await.Limit(7), await.Buffer(0)},
				{await.Limit(7), await.Buffer(1)},
				{await.Limit(7), await.Buffer(n)},
				{await.Limit(7), await.Buffer(2 * n)},
				{await.Limit(n + 1)},
				{await.Within(await.NewLimiter(3))},
				{await.Detach()},
			} {
				w := wellOf(instant(n)...)
				got := arrivals(stream(t.Context(), w.seq, opts...))
				w.requireOver(t)
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				require.Len(t, got, n)
				for i, a := range got {
					require.Equal(t, i, a.index)
					require.Equal(t, i, a.value)
					require.NoError(t, a.err)
				}
			}
		}
	})
}

func TestAFailedTaskOfASequenceIsAResultAndTheLoopGoesOn(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		require.Equal(t, []arrival{
			{0, 10, nil, 1 * time.Second},
			{1, 0, errBoom, 2 * time.Second},
			{2, 30, errBoom, 3 * time.Second},
			{3, 40, nil, 4 * time.Second},
		}, arrivals(stream(t.Context(), slices.All([]await.Task[int]{
			after(1*time.Second, 10),
			failing[int](2*time.Second, errBoom),
			func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 30, errBoom },
			after(4*time.Second, 40),
		}))))
	})
}

func TestWhatTheSequenceAndATaskWroteIsVisibleToTheBody(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3)}, {await.Limit(3), await.Buffer(1)}} {
			const n = 500
			offered, wrote := make([]int, n), make([]int, n)
			w := &well{n: n, step: func(i int) {
				if i < n {
					offered[i] = i
				}
			}, task: func(i int) await.Task[int] {
				return func(context.Context) (int, error) {
					wrote[i] = offered[i] + 1
					switch i % 10 {
					case 0:
						runtime.Goexit()
					case 1:
						return 0, errBoom
					}
					return i, nil
				}
			}}
			for i := range stream(t.Context(), w.seq, opts...) {
				require.Equal(t, i, offered[i])
				require.Equal(t, i+1, wrote[i])
				wrote[i] = 0
			}
		}
	})
}

func TestDuplicatesInASequenceAreSeparateTasks(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		calls := 0
		task := func(ctx context.Context) (int, error) { calls++; return calls, ctx.Err() }
		got := arrivals(stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
			for range 3 {
				if !yield(7, task) {
					return
				}
			}
		}, await.Limit(1)))
		require.Equal(t, []arrival{{7, 1, nil, 0}, {7, 2, nil, 0}, {7, 3, nil, 0}}, got)
	})
}

func TestAnEmptySequenceYieldsNothing(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		for _, opts := range [][]await.Option{nil, {await.Limit(1), await.Buffer(0)}, {await.Detach()}, {await.Within(await.NewLimiter(1))}} {
			w := wellOf()
			require.Empty(t, arrivals(stream(t.Context(), w.seq, opts...)))
			w.requireOver(t)
		}
	})
}

func TestASequenceThatCanBeRangedOnceIsEnough(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		rest := slices.Values(seconds(1, 2, 3))
		next, stop := iter.Pull(rest)
		defer stop()
		got := arrivals(stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
			for i := 0; ; i++ {
				if task, ok := next(); !ok || !yield(i, task) {
					return
				}
			}
		}))
		require.Equal(t, []int{0, 1, 2}, indices(got))
	})
}

func TestTheKeyMayBeOfAnyType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type site struct{ path []string }
		paths := func(yield func(site) bool) {
			_ = yield(site{[]string{"a"}}) && yield(site{[]string{"b", "c"}})
		}
		depth := func(_ context.Context, s site) (int, error) { return len(s.path), nil }
		for key, r := range await.AsCompletedSeq(t.Context(), await.TaskSeq(paths, depth), await.Limit(2)) {
			require.Len(t, key.path, r.Value)
		}
		var texts []string
		formats := func(yield func(func(int) string, await.Task[int]) bool) {
			_ = yield(func(i int) string { return fmt.Sprintf("%d!", i) }, deaf(0, 4)) &&
				yield(func(i int) string { return fmt.Sprintf("%x?", i) }, deaf(0, 255))
		}
		for format, r := range await.InOrderSeq(t.Context(), formats) {
			texts = append(texts, format(r.Value))
		}
		require.Equal(t, []string{"4!", "ff?"}, texts)
	})
}

// Pulling.

// The steps of the sequence take no time, and between two whole seconds nothing
// moves, so nobody is in the middle of a step.
func TestASequenceIsPulledAtMostOneTaskAhead(t *testing.T) {
	const n = 60
	rng := rand.New(rand.NewPCG(5, 6))
	for _, limit := range []int{1, 2, 4} {
		for _, buffer := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				bothSeqs(t, func(t *testing.T, stream seqStreamer) {
					durations := make([]int, n)
					pauses := make([]time.Duration, n)
					for i := range n {
						durations[i] = 1 + rng.IntN(9)
						pauses[i] = time.Duration(rng.IntN(12)) * time.Second
					}
					w := wellOf(seconds(durations...)...)
					var yielded atomic.Int64
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						for range stream(t.Context(), w.seq, await.Limit(limit), await.Buffer(buffer)) {
							time.Sleep(pauses[yielded.Add(1)-1])
						}
					}()
					full := 0
					for time.Sleep(time.Second / 2); yielded.Load() < n; time.Sleep(time.Second) {
						pulled, started, running := int(w.pulled.Load()), int(w.started.Load()), int(w.running.Load())
						unread := started - int(yielded.Load())
						require.LessOrEqual(t, pulled, started+1)
						require.LessOrEqual(t, unread, limit+buffer)
						require.LessOrEqual(t, running, limit)
						if unread == limit+buffer {
							full++
						} else if started < n {
							require.Equal(t, limit, running, "a free slot, although there is room")
						}
					}
					<-ended
					require.NotZero(t, full, "the bound was never reached")
					w.requireOver(t)
				})
			})
		}
	}
}

func TestATaskIsPulledOnlyWhenAPlaceIsFree(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		gates := make([]chan struct{}, 10)
		for i := range gates {
			gates[i] = make(chan struct{})
		}
		w := &well{n: len(gates), task: func(i int) await.Task[int] {
			return func(context.Context) (int, error) { <-gates[i]; return i, nil }
		}}
		ended := make(chan []arrival)
		go func() { ended <- arrivals(stream(t.Context(), w.seq, await.Limit(4))) }()
		for i := range gates {
			synctest.Wait()
			started := min(4+i, len(gates))
			require.EqualValues(t, started, w.started.Load())
			require.LessOrEqual(t, w.pulled.Load(), int64(started)+1)
			time.Sleep(time.Hour)
			close(gates[i])
		}
		require.Equal(t, below(10), indices(<-ended))
	})
}

// The body blocks at every result until nothing moves any more.
func TestLimitAndBufferBoundWhatOfASequenceIsStartedAndUnread(t *testing.T) {
	const n = 30
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{0, 1, 3, n - 5, n} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				bothSeqs(t, func(t *testing.T, stream seqStreamer) {
					w := wellOf(instant(n)...)
					yielded := 0
					for range stream(t.Context(), w.seq, await.Limit(limit), await.Buffer(buffer)) {
						yielded++
						synctest.Wait()
						started := min(yielded+limit+buffer, n)
						require.EqualValues(t, started, w.started.Load())
						require.LessOrEqual(t, w.pulled.Load(), int64(started)+1)
						require.Zero(t, w.running.Load())
					}
					require.Equal(t, n, yielded)
				})
			})
		}
	}
}

// An endless sequence makes the same plain: the first results come, and what
// is not read is not made.
func TestALoopThatStopsReadingAnEndlessSequenceSeesLimitAndBuffer(t *testing.T) {
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{0, 1, 4, 2000} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				bothSeqs(t, func(t *testing.T, stream seqStreamer) {
					w := spring(time.Second)
					taken := 0
					for i, r := range stream(t.Context(), w.seq, await.Limit(limit), await.Buffer(buffer)) {
						require.Equal(t, i, r.Value)
						if taken++; taken == 3 {
							time.Sleep(time.Hour)
							require.EqualValues(t, 3+limit+buffer, w.started.Load())
							require.EqualValues(t, 3+limit+buffer, w.pulled.Load())
							break
						}
					}
					w.requireOver(t)
				})
			})
		}
	}
}

func TestTheDefaultBufferOfASequenceIsTheLimit(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 600} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(0)
				yielded := 0
				for range stream(t.Context(), w.seq, await.Limit(limit)) {
					yielded++
					synctest.Wait()
					require.EqualValues(t, yielded+2*limit, w.started.Load())
					if yielded == 5 {
						break
					}
				}
				require.EqualValues(t, 5+2*limit, w.pulled.Load())
				w.requireOver(t)
			})
		})
	}
}

func TestWithoutLimitNothingBoundsWhatOfASequenceWaits(t *testing.T) {
	for name, opts := range map[string][]await.Option{"no option": nil, "Buffer": {await.Buffer(0)}} {
		t.Run(name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := wellOf(instant(3000)...)
				yielded := 0
				for range stream(t.Context(), w.seq, opts...) {
					if yielded++; yielded == 1 {
						synctest.Wait()
						require.EqualValues(t, w.n, w.started.Load())
						require.Equal(t, 1, w.cleaned)
					}
				}
				require.Equal(t, w.n, yielded)
			})
		})
	}
}

func TestASequenceWithAHugeLimitOrBuffer(t *testing.T) {
	for name, opts := range map[string][]await.Option{
		"the largest limit":         {await.Limit(math.MaxInt)},
		"almost the largest limit":  {await.Limit(math.MaxInt - 1)},
		"half of the largest limit": {await.Limit(math.MaxInt/2 + 1)},
		"the largest buffer":        {await.Limit(2), await.Buffer(math.MaxInt)},
		"almost the largest buffer": {await.Limit(2), await.Buffer(math.MaxInt - 1)},
		"both":                      {await.Limit(math.MaxInt), await.Buffer(math.MaxInt)},
		"neither small":             {await.Limit(math.MaxInt32), await.Buffer(math.MaxInt32)},
	} {
		t.Run(name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := wellOf(instant(100)...)
				yielded := 0
				for range stream(t.Context(), w.seq, opts...) {
					yielded++
					synctest.Wait()
					require.EqualValues(t, w.n, w.started.Load())
				}
				require.Equal(t, w.n, yielded)
			})
		})
	}
}

func TestASlowSequenceHoldsNoResultBack(t *testing.T) {
	for name, opts := range map[string][]await.Option{"no option": nil, "Limit": {await.Limit(3), await.Buffer(0)}} {
		t.Run(name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := wellOf(seconds(1, 14, 1, 5)...)
				w.step = func(int) { time.Sleep(10 * time.Second) }
				got := arrivals(stream(t.Context(), w.seq, opts...))
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				inOrder := got[2].at > 31*time.Second
				want := []arrival{
					{0, 0, nil, 11 * time.Second},
					{1, 1, nil, 34 * time.Second},
					{2, 2, nil, 31 * time.Second},
					{3, 3, nil, 45 * time.Second},
				}
				if inOrder {
					want[2].at = want[1].at // behind the one before it
				}
				require.Equal(t, want, got)
			})
		})
	}
}

// Whoever is in the sequence has it for itself: a lock that is there proves it
// with real goroutines, and a plain variable with the race detector.
func TestASequenceIsPulledByOneGoroutineAtATime(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for _, opts := range [][]await.Option{
			nil,
			{await.Limit(1)},
			{await.Limit(8)},
			{await.Limit(8), await.Buffer(0)},
			{await.Limit(8), await.Within(await.NewLimiter(4))},
		} {
			const n = 2000
			var inside atomic.Int64
			steps := 0
			w := &well{n: n, task: func(i int) await.Task[int] {
				return func(context.Context) (int, error) {
					if i%3 == 0 {
						runtime.Gosched()
					}
					if i%50 == 0 {
						runtime.Goexit()
					}
					return i, nil
				}
			}, step: func(i int) {
				if inside.Add(1) != 1 {
					t.Error("two at once are in the sequence")
				}
				if i%7 == 0 {
					runtime.Gosched()
				}
				steps++
				inside.Add(-1)
			}}
			require.Len(t, arrivals(stream(t.Context(), w.seq, opts...)), n)
			require.Equal(t, n+1, steps)
			w.requireOver(t)
		}
	})
}

func TestASequenceIsNotPulledAfterItsEnd(t *testing.T) {
	for name, opts := range map[string][]await.Option{
		"no option": nil, "Limit": {await.Limit(3)}, "Buffer": {await.Limit(3), await.Buffer(0)}, "a limit that is not reached": {await.Limit(100)},
	} {
		t.Run(name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := wellOf(seconds(1, 5, 2, 4, 3, 1, 1)...)
				ends := 0
				w.step = func(i int) {
					if i == w.n {
						ends++
					}
				}
				for range stream(t.Context(), w.seq, opts...) {
					time.Sleep(time.Second)
				}
				w.requireOver(t)
				require.Equal(t, 1, ends)
			})
		})
	}
}

// Each of the results that the tasks in flight bring makes room for more.
func TestASequenceIsNotPulledAfterTheLoop(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(time.Second)
				d.leave(stream(t.Context(), w.seq, await.Limit(4)), idle)
				w.requireOver(t)
				pulled, started := w.pulled.Load(), w.started.Load()
				require.LessOrEqual(t, pulled, int64(8))
				time.Sleep(time.Hour)
				require.Equal(t, pulled, w.pulled.Load())
				require.Equal(t, started, w.started.Load())
			})
		})
	}
}

// The loop's end.

// Like the test of the same on lists: when the first of four has returned and
// the fourth runs in its place, the loop is left; the fourth does not listen
// until second nine.
func TestHoweverTheLoopOverASequenceIsLeftItsEndIsTheEnd(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				var causes [3]error
				w := &well{n: endless, task: func(i int) await.Task[int] {
					switch i {
					case 1:
						return func(ctx context.Context) (int, error) {
							<-ctx.Done()
							causes[0] = context.Cause(ctx)
							return 0, nil
						}
					case 2:
						return func(ctx context.Context) (int, error) {
							<-ctx.Done()
							causes[1] = context.Cause(ctx)
							time.Sleep(2 * time.Second)
							return 0, nil
						}
					case 3:
						return func(ctx context.Context) (int, error) {
							time.Sleep(8 * time.Second)
							causes[2] = context.Cause(ctx)
							return 0, nil
						}
					}
					return deaf(time.Second, i)
				}}
				start := time.Now()
				cleaned := 0
				d.leave(stream(t.Context(), w.seq, await.Limit(3)), func() bool {
					synctest.Wait() // until the fourth runs
					cleaned += w.cleaned
					return true
				})
				require.Equal(t, 9*time.Second, time.Since(start))
				require.Zero(t, cleaned, "the loop went on")
				w.requireOver(t)
				require.EqualValues(t, 4, w.started.Load())
				require.EqualValues(t, 4, w.pulled.Load())
				for _, cause := range causes {
					require.Equal(t, await.ErrStopped, cause)
				}
				time.Sleep(time.Hour)
				require.EqualValues(t, 4, w.pulled.Load())
				require.Equal(t, 1, w.cleaned)
			})
		})
	}
}

func TestHoweverTheLoopIsLeftWhenNothingRunsTheSequenceIsCleanedUp(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				for _, opts := range [][]await.Option{
					{await.Limit(3), await.Buffer(2)},
					{await.Limit(3), await.Buffer(2), await.Within(await.NewLimiter(2))},
				} {
					w := spring(0)
					d.leave(stream(t.Context(), w.seq, opts...), func() bool {
						synctest.Wait() // until the buffer is full
						return true
					})
					w.requireOver(t)
					require.EqualValues(t, 1+3+2, w.started.Load())
				}
			})
		})
	}
}

// Nobody is in the middle of a step, because the buffer is full. The race
// detector sees whether the cleanup comes before the end of the loop.
func TestHoweverTheLoopIsLeftTheSequenceIsCleanedUpOutsideOfBubbles(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
				for range 100 {
					w := spring(0)
					d.leave(stream(t.Context(), w.seq, await.Limit(2), await.Buffer(1)), func() bool {
						for w.started.Load() < 1+2+1 || w.running.Load() > 0 {
							runtime.Gosched()
						}
						return true
					})
					w.requireOver(t)
				}
			})
		})
	}
}

func TestWhenAllOfASequenceIsDoneTheContextEndsWithErrStopped(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		var cause func() error
		for range stream(t.Context(), slices.All([]await.Task[int]{func(ctx context.Context) (int, error) {
			cause = func() error { return context.Cause(ctx) }
			return 0, nil
		}})) {
			require.NoError(t, cause(), "the loop has not ended yet")
		}
		require.Equal(t, await.ErrStopped, cause())
	})
}

func TestPull2OfASeqStreamThatNeverPullsTouchesNothing(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(seconds(1, 1)...)
		next, stop := iter.Pull2(stream(t.Context(), w.seq))
		stop()
		_, _, ok := next()
		require.False(t, ok)
		time.Sleep(time.Hour)
		w.requireUntouched(t)
	})
}

func TestPull2OfASeqStreamAfterTheEndYieldsNothing(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(seconds(1, 2)...)
		next, stop := iter.Pull2(stream(t.Context(), w.seq))
		defer stop()
		for want := range 2 {
			i, r, ok := next()
			require.True(t, ok)
			require.Equal(t, want, i)
			require.Equal(t, want, r.Value)
		}
		for range 3 {
			_, r, ok := next()
			require.False(t, ok)
			require.Zero(t, r)
		}
		w.requireOver(t)
	})
}

func TestTakingOneOfASequenceAndLeavingManyTimes(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for round := range 10_000 {
			var c census
			var begun, cleaned atomic.Int64
			tasks := c.wrap(
				func(context.Context) (int, error) { return 0, nil },
				func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, nil },
				func(context.Context) (int, error) { runtime.Gosched(); return 2, errBoom },
			)
			seq := func(yield func(int, await.Task[int]) bool) {
				begun.Add(1)
				defer cleaned.Add(1)
				for i := 0; (i < 24 || round%2 == 0) && yield(i, tasks[i%3]); i++ {
				}
			}
			var opts []await.Option
			if round%2 == 0 {
				opts = []await.Option{await.Limit(1 + round%8)}
			}
			for i, r := range stream(t.Context(), seq, opts...) {
				require.Equal(t, i%3, r.Value)
				break
			}
			require.Zero(t, c.running.Load())
			for cleaned.Load() == 0 {
				runtime.Gosched() // a step may have been under way
			}
			require.EqualValues(t, 1, begun.Load())
			require.EqualValues(t, 1, cleaned.Load())
		}
	})
}

// A sequence in the middle of its next step.

// stuck is a well of tasks that take one second and five, and that blocks on the
// way to the third until release is closed. What it does then is up to late;
// without one it offers a task.
func stuck(release <-chan struct{}, late func()) *well {
	w := spring(time.Second)
	w.task = func(i int) await.Task[int] { return deaf(time.Duration(1+4*i)*time.Second, i) }
	w.step = func(i int) {
		if i < 2 {
			return
		}
		<-release
		if late != nil {
			late()
		}
	}
	return w
}

// stuckOptions are options with which two tasks and somebody who pulls fit.
var stuckOptions = []struct {
	name string
	opts []await.Option
}{
	{"no option", nil},
	{"Limit", []await.Option{await.Limit(3)}},
	{"Buffer", []await.Option{await.Limit(3), await.Buffer(0)}},
	{"Within", []await.Option{await.Within(await.NewLimiter(3))}},
	{"Recover", []await.Option{await.Limit(3), await.Recover()}},
}

// everyStuck runs a test for each of stuckOptions.
func everyStuck(t *testing.T, test func(t *testing.T, stream seqStreamer, opts []await.Option)) {
	t.Helper()
	for _, o := range stuckOptions {
		t.Run(o.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) { test(t, stream, o.opts) })
		})
	}
}

// requireLate fails if the sequence is cleaned up before release is closed, or
// not once after that, or if the task that it then offers starts.
func (w *well) requireLate(t *testing.T, release chan<- struct{}) {
	t.Helper()
	started := w.started.Load()
	require.Zero(t, w.running.Load())
	require.Zero(t, w.cleaned)
	time.Sleep(time.Hour)
	require.Zero(t, w.cleaned)
	pulled := w.pulled.Load()
	close(release)
	synctest.Wait()
	w.requireOver(t)
	time.Sleep(time.Hour)
	w.requireOver(t)
	require.Equal(t, started, w.started.Load())
	require.LessOrEqual(t, w.pulled.Load(), pulled+1)
}

func TestABlockedSequenceDoesNotHoldUpLeaving(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
				release := make(chan struct{})
				w := stuck(release, nil)
				start := time.Now()
				d.leave(stream(t.Context(), w.seq, opts...), func() bool { return true })
				require.Equal(t, 5*time.Second, time.Since(start), "the running task is waited for, and nothing else")
				w.requireLate(t, release)
			})
		})
	}
}

func TestABlockedSequenceDoesNotHoldUpLeavingWhenNothingRuns(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
				release := make(chan struct{})
				w := stuck(release, nil)
				start := time.Now()
				d.leave(stream(t.Context(), w.seq, opts...), func() bool {
					time.Sleep(10 * time.Second)
					return true
				})
				require.Equal(t, 11*time.Second, time.Since(start))
				w.requireLate(t, release)
			})
		})
	}
}

func TestABlockedSequenceDoesNotHoldUpTheEndOfTheContext(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
				for _, end := range []time.Duration{3 * time.Second, 7 * time.Second} {
					ctx, cancel := e.end(t.Context(), end)
					release := make(chan struct{})
					w := stuck(release, nil)
					start := time.Now()
					require.Equal(t, []arrival{
						{0, 0, nil, 1 * time.Second},
						{1, 1, nil, 5 * time.Second},
					}, arrivals(stream(ctx, w.seq, opts...)))
					require.Equal(t, max(end, 5*time.Second), time.Since(start))
					w.requireLate(t, release)
					cancel()
				}
			})
		})
	}
}

func TestASequenceThatBlocksBeforeItsFirstTaskDoesNotHoldUpTheEndOfTheContext(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
				ctx, cancel := e.end(t.Context(), time.Second)
				defer cancel()
				release := make(chan struct{})
				w := spring(time.Second)
				w.step = func(int) { <-release }
				start := time.Now()
				require.Empty(t, arrivals(stream(ctx, w.seq, opts...)))
				require.Equal(t, time.Second, time.Since(start))
				w.requireLate(t, release)
				require.Zero(t, w.started.Load())
			})
		})
	}
}

func TestABlockedSequenceDoesNotHoldUpATasksPanic(t *testing.T) {
	everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		release := make(chan struct{})
		w := stuck(release, nil)
		fine := w.task
		w.task = func(i int) await.Task[int] {
			if i == 0 {
				return panicking[int](time.Second, "boom")
			}
			return fine(i)
		}
		start := time.Now()
		call := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // with Recover, nothing else ends it
			defer cancel()
			arrivals(stream(ctx, w.seq, opts...))
		}
		if slices.Contains(opts, await.Recover()) {
			call()
			require.Equal(t, 6*time.Second, time.Since(start))
		} else {
			requireRaised(t, "boom", call)
			require.Equal(t, 5*time.Second, time.Since(start))
		}
		w.requireLate(t, release)
	})
}

func TestABlockedSequenceDoesNotHoldUpThePanicOfTheOnlyTask(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		for _, opts := range [][]await.Option{nil, {await.Limit(3)}, {await.Within(await.NewLimiter(3))}, {await.Detach()}} {
			release := make(chan struct{})
			w := spring(0)
			w.task = func(int) await.Task[int] { return panicking[int](time.Second, "boom") }
			w.step = func(i int) {
				if i > 0 {
					<-release
				}
			}
			start := time.Now()
			requireRaised(t, "boom", func() { arrivals(stream(t.Context(), w.seq, opts...)) })
			require.Equal(t, time.Second, time.Since(start))
			synctest.Wait()
			w.requireLate(t, release)
		}
	})
}

// The step that nobody has waited for may end with a task or with the end of
// the sequence.
func TestABlockedSequenceMayEndInsteadOfOfferingATask(t *testing.T) {
	everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		release := make(chan struct{})
		w := stuck(release, nil)
		w.n = 2
		for range stream(t.Context(), w.seq, opts...) {
			break
		}
		w.requireLate(t, release)
		require.EqualValues(t, 2, w.pulled.Load())
	})
}

func TestABlockedSequenceIsPulledByNobodyElse(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		release := make(chan struct{})
		w := stuck(release, nil)
		w.n = 3
		go func() {
			time.Sleep(time.Hour)
			assert.EqualValues(t, 2, w.started.Load())
			close(release)
		}()
		got := arrivals(stream(t.Context(), w.seq, await.Limit(10)))
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 2, nil, time.Hour + 9*time.Second},
		}, got)
		w.requireOver(t)
	})
}

func TestANewLoopBesideASequenceThatIsStillBlocked(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		release := make(chan struct{})
		defer close(release)
		first := true
		seq := stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
			blocks := first
			first = false
			for i := range 3 {
				if i == 1 && blocks {
					<-release
				}
				if !yield(i, deaf(time.Duration(i)*time.Second, i)) {
					return
				}
			}
		}, await.Limit(3))
		for range seq {
			break
		}
		require.Equal(t, []int{0, 1, 2}, indices(arrivals(seq)))
	})
}

// The step returns at the same moment as the last task, when both are late.
func TestASequenceWhoseStepEndsWhileTheLoopEndsIsCleanedUpOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for range 3000 {
			release := make(chan struct{})
			var cleaned atomic.Int64
			spin, linger := rng.IntN(4), rng.IntN(4)
			seq := func(yield func(int, await.Task[int]) bool) {
				defer func() {
					for range linger {
						runtime.Gosched()
					}
					cleaned.Add(1)
				}()
				if yield(0, deaf(0, 0)) && yield(1, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					for range spin {
						runtime.Gosched()
					}
					close(release)
					return 1, nil
				}) {
					<-release
					yield(2, deaf(0, 2))
				}
			}
			for range stream(t.Context(), seq) {
				break
			}
			select {
			case <-release:
			default:
				close(release) // the second task did not start
			}
			for cleaned.Load() == 0 {
				runtime.Gosched()
			}
		}
	})
}

// Context.

func TestWhenTheContextHasEndedASequenceIsNotPulled(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := spring(0)
		between := stream(ctx, w.seq)
		cancel(errBoom)
		require.Empty(t, arrivals(between))
		for _, opts := range [][]await.Option{
			nil, {await.Limit(1)}, {await.Limit(2), await.Buffer(0)}, {await.Detach()}, {await.Within(await.NewLimiter(1))},
		} {
			require.Empty(t, arrivals(stream(ctx, w.seq, opts...)))
		}
		synctest.Wait()
		w.requireUntouched(t)
	})
}

// Two run at a time. The context ends at second 3, when task 0 has returned,
// task 1 heeds it and task 2 does not.
func TestWhenTheContextEndsTheRunningTasksOfASequenceYieldTheirOwnResults(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				w := &well{n: endless, task: func(i int) await.Task[int] {
					if i == 1 {
						return after(time.Hour, 11)
					}
					return deaf(time.Duration(1+4*i)*time.Second, 10+i)
				}}
				require.Equal(t, []arrival{
					{0, 10, nil, 1 * time.Second},
					{1, 0, e.cause, 3 * time.Second},
					{2, 12, nil, 10 * time.Second},
				}, arrivals(stream(ctx, w.seq, await.Limit(2))))
				w.requireOver(t)
				require.EqualValues(t, 3, w.started.Load())
				require.LessOrEqual(t, w.pulled.Load(), int64(4))
			})
		})
	}
}

func TestWhenTheContextEndsFinishedResultsOfASequenceStillCome(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		w := spring(0)
		w.task = func(i int) await.Task[int] { return deaf(time.Duration(1+i)*time.Second, i) }
		var got []int
		for i, r := range stream(ctx, w.seq, await.Limit(3), await.Buffer(2)) {
			if got == nil {
				time.Sleep(time.Minute)
			}
			got = append(got, i)
			require.Equal(t, await.Result[int]{Value: i}, r)
		}
		// The first was taken at second 1; five fit beside it.
		require.Equal(t, []int{0, 1, 2, 3, 4, 5}, got)
		w.requireOver(t)
	})
}

func TestTheBodyMayEndTheContextOfASequence(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w := &well{n: endless, task: func(i int) await.Task[int] {
			if i == 0 {
				return deaf(time.Second, 0)
			}
			return after(time.Hour, i)
		}}
		var got []int
		for i, r := range stream(ctx, w.seq, await.Limit(2)) {
			synctest.Wait() // until the third task runs
			cancel(errBoom)
			if got = append(got, i); i > 0 {
				require.Equal(t, errBoom, r.Err)
			}
		}
		require.ElementsMatch(t, []int{0, 1, 2}, got)
		w.requireOver(t)
		require.EqualValues(t, 3, w.pulled.Load())
	})
}

func TestTheTasksOfASequenceSeeTheCallersCause(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		var cause error
		for range stream(ctx, slices.All([]await.Task[int]{func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return 0, nil
		}})) {
		}
		require.Equal(t, errBoom, cause)
	})
}

func TestWhenTheContextEndsWhileTheBufferOfASequenceIsFull(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := spring(0)
		var got []int
		for i, r := range stream(ctx, w.seq, await.Limit(2), await.Buffer(1)) {
			synctest.Wait()
			cancel()
			got = append(got, i)
			require.NoError(t, r.Err)
		}
		require.ElementsMatch(t, []int{0, 1, 2, 3}, got)
		require.EqualValues(t, 4, w.pulled.Load())
		w.requireOver(t)
	})
}

func TestWhenTheContextEndsASequenceIsCleanedUp(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				// Nobody is in the middle of a step: two run and then there is
				// the end, or three run.
				w := wellOf(deaf(time.Hour, 0), after(time.Hour, 1))
				if opts != nil {
					w = wellOf(deaf(time.Hour, 0), after(time.Hour, 1), after(time.Hour, 2), after(time.Hour, 3))
				}
				arrivals(stream(ctx, w.seq, opts...))
				w.requireOver(t)
			})
		})
	}
}

// The context of the tasks has ended when the sequence offers its next task.
func TestASequenceThatEndsTheContextItselfStartsNothingMore(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			w := wellOf(seconds(1, 1, 1)...)
			w.step = func(i int) {
				if i == 1 {
					cancel()
				}
			}
			require.Equal(t, []int{0}, indices(arrivals(stream(ctx, w.seq))))
			require.EqualValues(t, 1, w.started.Load())
			synctest.Wait()
			w.requireOver(t)
		}
	})
}

// ownContext is a context that package context knows nothing of.
type ownContext struct{ done chan struct{} }

func (ownContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (ownContext) Value(any) any               { return nil }
func (c ownContext) Done() <-chan struct{}     { return c.done }

func (c ownContext) Err() error {
	select {
	case <-c.done:
		return errBoom
	default:
		return nil
	}
}

func TestASequenceUnderAContextOfAnotherKind(t *testing.T) {
	everyStuck(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		ctx := ownContext{make(chan struct{})}
		time.AfterFunc(3*time.Second, func() { close(ctx.done) })
		release := make(chan struct{})
		w := stuck(release, nil)
		start := time.Now()
		require.Equal(t, []int{0, 1}, indices(arrivals(stream(ctx, w.seq, opts...))))
		require.Equal(t, 5*time.Second, time.Since(start))
		w.requireLate(t, release)
		require.Len(t, arrivals(stream(ownContext{}, slices.All(seconds(1, 2)))), 2, "a context that does not end")
	})
}

func TestAContextThatEndsAfterTheLastTaskOfASequenceChangesNothing(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		yielded := 0
		for i, r := range stream(ctx, slices.All(seconds(1, 2))) {
			time.Sleep(time.Minute)
			require.Equal(t, await.Result[int]{Value: i}, r)
			yielded++
		}
		require.Equal(t, 2, yielded)
	})
}

// Goexit.

func TestGoexitInATaskOfASequenceYieldsErrGoexitAndCostsNoSlot(t *testing.T) {
	const n = 12
	for _, limit := range []int{1, 2, n} { // with n tasks, a limit of n is none
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				opts := []await.Option{await.Limit(limit)}
				if limit == n {
					opts = nil
				}
				w := &well{n: n, task: func(i int) await.Task[int] {
					if i%3 != 2 {
						return exiting[int](time.Second)
					}
					return deaf(time.Second, i)
				}}
				start := time.Now()
				got := arrivals(stream(t.Context(), w.seq, opts...))
				require.Equal(t, time.Duration(n/limit)*time.Second, time.Since(start))
				require.EqualValues(t, limit, w.peak.Load())
				w.requireOver(t)
				slices.SortFunc(got, func(a, b arrival) int { return a.index - b.index })
				require.Len(t, got, n)
				for i, a := range got {
					require.Equal(t, i, a.index)
					if i%3 != 2 {
						require.Equal(t, await.ErrGoexit, a.err)
						require.Zero(t, a.value)
					} else {
						require.NoError(t, a.err)
						require.Equal(t, i, a.value)
					}
				}
			})
		})
	}
}

func TestGoexitInTheTasksOfASequenceKeepsTheBufferExact(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := &well{n: endless, task: func(int) await.Task[int] { return exiting[int](0) }}
		yielded := 0
		for range stream(t.Context(), w.seq, await.Limit(2), await.Buffer(1)) {
			yielded++
			synctest.Wait()
			require.EqualValues(t, yielded+2+1, w.started.Load())
			if yielded == 20 {
				break
			}
		}
		w.requireOver(t)
	})
}

// Panics of tasks.

// Two may run. Task 1 panics at second 2, in a body that sleeps.
func TestAPanicOfATaskEndsTheSequenceAndIsRaised(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		start := time.Now()
		var cause error
		var cancelled time.Duration
		w := &well{n: endless, task: func(i int) await.Task[int] {
			switch i {
			case 0:
				return deaf(time.Second, 0)
			case 1:
				return detonating(2*time.Second, errBoom)
			case 2:
				return func(ctx context.Context) (int, error) {
					<-ctx.Done()
					cause, cancelled = context.Cause(ctx), time.Since(start)
					time.Sleep(10 * time.Second)
					return 0, nil
				}
			}
			return deaf(time.Hour, i)
		}}
		yielded := 0
		raised := raisedBy(t, func() {
			for range stream(t.Context(), w.seq, await.Limit(2)) {
				yielded++
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, 12*time.Second, time.Since(start))
		require.Equal(t, 1, yielded)
		require.Equal(t, errBoom, raised.Value)
		require.Contains(t, string(raised.Stack), "await_test.detonate(")
		require.Same(t, raised, cause)
		require.Equal(t, 2*time.Second, cancelled)
		w.requireOver(t)
		require.EqualValues(t, 3, w.started.Load())
		require.LessOrEqual(t, w.pulled.Load(), int64(4))
	})
}

func TestAPanicOfATaskOfASequenceIsRaisedAlsoWhenTheLoopWasLeft(t *testing.T) {
	for _, d := range departures {
		if d.name == "panic" || d.name == "runtime.Goexit" {
			continue // they do not let the panic through
		}
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(time.Second)
				w.task = func(i int) await.Task[int] {
					if i == 1 {
						return func(ctx context.Context) (int, error) { <-ctx.Done(); panic("late") }
					}
					return deaf(time.Second, i)
				}
				requireRaised(t, "late", func() {
					d.leave(stream(t.Context(), w.seq, await.Limit(2)), idle)
				})
				w.requireOver(t)
			})
		})
	}
}

func TestWithRecoverAPanicOfATaskOfASequenceIsAResult(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(deaf(1*time.Second, 0), detonating(2*time.Second, "boom"), deaf(3*time.Second, 2))
		got := arrivals(stream(t.Context(), w.seq, await.Limit(1), await.Recover()))
		require.Equal(t, []int{0, 1, 2}, indices(got))
		require.NoError(t, got[0].err)
		requirePanicError(t, got[1].err)
		require.NoError(t, got[2].err)
		require.Equal(t, 6*time.Second, got[2].at)
		w.requireOver(t)
	})
}

// Panics of the sequence.

// seqOptions are options that leave room for five tasks and for somebody who
// pulls.
var seqOptions = []struct {
	name string
	opts []await.Option
}{
	{"no option", nil},
	{"Limit", []await.Option{await.Limit(6)}},
	{"Buffer", []await.Option{await.Limit(6), await.Buffer(0)}},
	{"Within", []await.Option{await.Within(await.NewLimiter(6))}},
	{"Recover", []await.Option{await.Recover()}},
	{"Name", []await.Option{await.Name("crawl")}},
	{"Detach", []await.Option{await.Detach()}},
}

// everySeqOption runs a test for each of seqOptions.
func everySeqOption(t *testing.T, test func(t *testing.T, stream seqStreamer, opts []await.Option)) {
	t.Helper()
	for _, o := range seqOptions {
		t.Run(o.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) { test(t, stream, o.opts) })
		})
	}
}

// requireSequenceFails ranges a sequence that offers a task at every second,
// and fails at the second after the one with the number before, in fail. With
// ends, that is its end. It checks what becomes of the tasks, and returns what
// is raised.
func requireSequenceFails(t *testing.T, stream seqStreamer, opts []await.Option, before int, ends bool, fail func()) *await.PanicError {
	t.Helper()
	causes := make(chan error, 5)
	w := &well{n: 5, task: func(int) await.Task[int] {
		return func(ctx context.Context) (int, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			time.Sleep(10 * time.Second)
			return 0, nil
		}
	}, step: func(i int) {
		time.Sleep(time.Second)
		if i == before {
			fail()
		}
	}}
	if ends {
		w.n = before
	}
	start := time.Now()
	raised := raisedBy(t, func() {
		for range stream(t.Context(), w.seq, opts...) {
			t.Error("the panic is ahead of the results")
		}
	})
	want := time.Duration(before+1) * time.Second
	if before > 0 && !slices.Contains(opts, await.Detach()) {
		want += 10 * time.Second // the running tasks are waited for
	}
	require.Equal(t, want, time.Since(start))
	detachOutlive(time.Minute)
	w.requireOver(t)
	require.EqualValues(t, before, w.started.Load())
	require.EqualValues(t, before, w.pulled.Load())
	for range before {
		require.Same(t, raised, <-causes)
	}
	return raised
}

func TestAPanicInTheSequenceIsRaisedWithItsStack(t *testing.T) {
	everySeqOption(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		for before := range 4 {
			for _, ends := range []bool{false, true} {
				raised := requireSequenceFails(t, stream, opts, before, ends, func() { detonate(errBoom) })
				require.Equal(t, errBoom, raised.Value)
				require.ErrorIs(t, raised, errBoom)
				require.Contains(t, string(raised.Stack), "await_test.detonate(")
				require.Contains(t, string(raised.Stack), "(*well).seq")
				require.Contains(t, raised.Error(), errBoom.Error())
				require.Contains(t, raised.Error(), string(raised.Stack))
			}
		}
	})
}

func TestPanicNilInTheSequenceIsAPanic(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		raised := requireSequenceFails(t, stream, nil, 2, false, func() { detonate(nil) })
		require.Equal(t, new(runtime.PanicNilError), raised.Value)
	})
}

func TestGoexitInTheSequenceIsRaised(t *testing.T) {
	everySeqOption(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		for before := range 4 {
			for _, ends := range []bool{false, true} {
				raised := requireSequenceFails(t, stream, opts, before, ends, runtime.Goexit)
				require.Equal(t, await.ErrGoexit, raised.Value)
				require.ErrorIs(t, raised, await.ErrGoexit)
				require.Contains(t, string(raised.Stack), "(*well).seq")
			}
		}
	})
}

func TestAFailedRequireInTheSequenceIsRaised(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		var fake fakeT
		raised := requireSequenceFails(t, stream, nil, 1, false, func() { require.Equal(&fake, 1, 2) })
		require.True(t, fake.failed.Load())
		require.Equal(t, await.ErrGoexit, raised.Value)
	})
}

// A deferred call may panic while Goexit unwinds the sequence.
func TestAPanicDuringGoexitInTheSequenceIsNotLost(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		raised := requireSequenceFails(t, stream, nil, 1, false, func() {
			defer detonate("cleanup")
			runtime.Goexit()
		})
		require.Equal(t, "cleanup", raised.Value)
	})
}

func TestANilTaskOutOfASequenceIsRaisedWithItsNumber(t *testing.T) {
	everySeqOption(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		for _, index := range []int{0, 1, 4} {
			causes := make(chan error, 5)
			w := &well{n: 5, bare: true, task: func(i int) await.Task[int] {
				if i == index {
					return nil
				}
				return func(ctx context.Context) (int, error) {
					<-ctx.Done()
					causes <- context.Cause(ctx)
					return 0, nil
				}
			}, step: func(int) { time.Sleep(time.Second) }}
			start := time.Now()
			raised := raisedBy(t, func() {
				for range stream(t.Context(), w.seq, opts...) {
					t.Error("the panic is ahead of the results")
				}
			})
			require.Equal(t, time.Duration(index+1)*time.Second, time.Since(start))
			require.Regexp(t, fmt.Sprintf("^await: .*sequence.* %d is nil$", index), fmt.Sprint(raised.Value))
			require.Contains(t, raised.Error(), fmt.Sprint(raised.Value))
			require.NotEmpty(t, raised.Stack)
			synctest.Wait()
			w.requireOver(t)
			require.EqualValues(t, index+1, w.pulled.Load())
			for range index {
				require.Same(t, raised, <-causes)
			}
		}
	})
}

// At second 2, results 0 and 1 are there, the body has the first one, and the
// way to the next task fails.
func TestAPanicInTheSequenceIsAheadOfResultsThatWait(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := spring(time.Second / 4)
		w.step = func(i int) {
			if i == 2 {
				time.Sleep(2 * time.Second)
				detonate("sequence")
			}
		}
		yielded := 0
		requireRaised(t, "sequence", func() {
			for range stream(t.Context(), w.seq) {
				yielded++
				time.Sleep(time.Minute)
			}
		})
		require.Equal(t, 1, yielded)
		w.requireOver(t)
	})
}

// littered is w with a cleanup that ends in fail.
func (w *well) littered(fail func()) iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		defer fail()
		w.seq(yield)
	}
}

// idle waits until nobody is in the middle of the sequence's step, so that the
// end of the loop, and nobody else, cleans up.
func idle() bool {
	synctest.Wait()
	return true
}

func TestAPanicInTheSequencesCleanupIsRaised(t *testing.T) {
	for _, d := range departures {
		if d.name == "panic" || d.name == "runtime.Goexit" {
			continue // below
		}
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(time.Second)
				raised := raisedBy(t, func() {
					d.leave(stream(t.Context(), w.littered(func() { detonate("cleanup") }), await.Limit(2)), idle)
				})
				require.Equal(t, "cleanup", raised.Value)
				require.Contains(t, string(raised.Stack), "await_test.detonate(")
				w.requireOver(t)
			})
		})
	}
}

func TestGoexitInTheSequencesCleanupIsRaised(t *testing.T) {
	for _, d := range departures {
		if d.name == "panic" || d.name == "runtime.Goexit" {
			continue // below
		}
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(time.Second)
				requireRaised(t, await.ErrGoexit, func() {
					d.leave(stream(t.Context(), w.littered(runtime.Goexit), await.Limit(2)), idle)
				})
				w.requireOver(t)
			})
		})
	}
}

func TestAPanicInTheSequencesCleanupAtItsEndIsRaised(t *testing.T) {
	everySeqOption(t, func(t *testing.T, stream seqStreamer, opts []await.Option) {
		for _, fail := range []struct {
			value any
			call  func()
		}{{"cleanup", func() { detonate("cleanup") }}, {await.ErrGoexit, runtime.Goexit}} {
			w := wellOf(seconds(1, 2)...)
			requireRaised(t, fail.value, func() {
				arrivals(stream(t.Context(), w.littered(fail.call), opts...))
			})
			detachOutlive(time.Minute)
			w.requireOver(t)
		}
	})
}

func TestAPanicInTheSequencesCleanupAfterTheEndOfTheContextIsRaised(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		w := spring(time.Second)
		requireRaised(t, "cleanup", func() {
			arrivals(stream(ctx, w.littered(func() { detonate("cleanup") }), await.Limit(2)))
		})
		w.requireOver(t)
	})
}

func TestAPanicInTheSequencesCleanupIsNotLostWhenTheBodyPanicsToo(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := spring(time.Second)
		requireRaised(t, "cleanup", func() {
			for range stream(t.Context(), w.littered(func() { detonate("cleanup") }), await.Limit(2)) {
				idle()
				panic("body")
			}
		})
		w.requireOver(t)
	})
}

func TestAPanicInTheSequencesCleanupIsNotLostWhenTheBodyCallsGoexit(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := spring(time.Second)
		recovered := make(chan any, 1)
		go func() {
			defer func() { recovered <- recover() }()
			for range stream(t.Context(), w.littered(func() { detonate("cleanup") }), await.Limit(2)) {
				idle()
				runtime.Goexit()
			}
		}()
		raised, ok := (<-recovered).(*await.PanicError)
		require.True(t, ok)
		require.Equal(t, "cleanup", raised.Value)
		w.requireOver(t)
	})
}

func TestASecondPanicBesideTheSequencesIsNotLost(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		late := func(ctx context.Context) (int, error) { <-ctx.Done(); panic("task") }
		for _, test := range []struct {
			seq           iter.Seq2[int, await.Task[int]]
			first, second string
		}{
			{func(yield func(int, await.Task[int]) bool) {
				yield(0, late)
				detonate("sequence")
			}, "sequence", "task"},
			{func(yield func(int, await.Task[int]) bool) {
				defer detonate("cleanup")
				yield(0, panicking[int](time.Second, "task"))
			}, "cleanup", ""},
			{func(yield func(int, await.Task[int]) bool) {
				defer detonate("cleanup")
				_ = yield(0, panicking[int](time.Second, "task")) && yield(1, deaf(time.Minute, 1)) && yield(2, deaf(0, 2))
			}, "task", "cleanup"},
		} {
			raised := raisedBy(t, func() { arrivals(stream(t.Context(), test.seq, await.Limit(2))) })
			require.Equal(t, test.first, raised.Value)
			require.Contains(t, string(raised.Stack), test.second)
		}
	})
}

// The loop's end waits for a task until second 5. At second 3 the step that it
// does not wait for panics, which is in time.
func TestAPanicInTheSequenceWhileTheEndOfTheLoopWaitsIsRaised(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		for _, fail := range []struct {
			value any
			call  func()
		}{{"sequence", func() { detonate("sequence") }}, {await.ErrGoexit, runtime.Goexit}} {
			release := make(chan struct{})
			time.AfterFunc(3*time.Second, func() { close(release) })
			w := stuck(release, fail.call)
			start := time.Now()
			requireRaised(t, fail.value, func() {
				for range stream(t.Context(), w.seq) {
					break
				}
			})
			require.Equal(t, 5*time.Second, time.Since(start))
			w.requireOver(t)
		}
	})
}

func TestALatePanicInTheSequenceCrashesTheProgram(t *testing.T) {
	for _, s := range seqStreamers {
		for _, place := range []string{"step", "cleanup"} {
			for _, end := range []string{"break", "context"} {
				t.Run(s.name+" "+place+" "+end, func(t *testing.T) {
					if !panicInChild(t) {
						output, err := panicRunChild(t)
						require.Error(t, err)
						require.Contains(t, output, "the loop has ended")
						require.Contains(t, output, "too late")
						require.Contains(t, output, "await_test.detonate(")
						return
					}
					ctx, cancel := context.WithCancel(t.Context())
					stuck, release := make(chan struct{}), make(chan struct{})
					seq := func(yield func(int, await.Task[int]) bool) {
						yield(0, deaf(0, 0))
						close(stuck)
						<-release
						if place == "cleanup" {
							defer detonate("too late")
							yield(1, deaf(0, 1))
						} else {
							detonate("too late")
						}
					}
					for range s.stream(ctx, seq) {
						<-stuck
						if end == "break" {
							break
						}
						cancel()
					}
					fmt.Println("the loop has ended")
					close(release)
					select {} // the crash ends it
				})
			}
		}
	}
}

// The loop has results to read when the sequence panics, and must not end the
// context before the panic does.
func TestThePanicInTheSequenceIsTheCauseHoweverBusyTheLoopIs(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for range 3000 {
			var cause error
			w := spring(0)
			w.task = func(i int) await.Task[int] {
				if i == 9 {
					return func(ctx context.Context) (int, error) {
						<-ctx.Done()
						cause = context.Cause(ctx)
						return 0, nil
					}
				}
				return func(context.Context) (int, error) { runtime.Gosched(); return i, nil }
			}
			w.step = func(i int) {
				if i == 20 {
					detonate("sequence")
				}
			}
			raised := raisedBy(t, func() { arrivals(stream(t.Context(), w.seq)) })
			require.Same(t, raised, cause)
		}
	})
}

func TestNoWorkerIsLeftAfterPanicsOfSequences(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for round := range 1000 {
			w := spring(0)
			w.task = func(i int) await.Task[int] {
				if i%2 == 0 {
					return after(time.Hour, i)
				}
				return func(context.Context) (int, error) { runtime.Gosched(); return i, nil }
			}
			w.step = func(i int) {
				if i == round%7 {
					detonate("sequence")
				}
			}
			requireRaised(t, "sequence", func() { arrivals(stream(t.Context(), w.seq)) })
			w.requireOver(t)
		}
	})
}

// Kinds of sequences.

func TestAMapGivesNamedTasks(t *testing.T) {
	for _, seqFunc := range []func(context.Context, iter.Seq2[string, await.Task[int]], ...await.Option) iter.Seq2[string, await.Result[int]]{
		await.AsCompletedSeq[string, int], await.InOrderSeq[string, int],
	} {
		named := map[string]await.Task[int]{
			"one": deaf(0, 1), "two": deaf(0, 2), "three": failing[int](0, errBoom), "four": exiting[int](0),
		}
		got := make(map[string]await.Result[int])
		yielded := 0
		for name, r := range seqFunc(t.Context(), maps.All(named), await.Limit(2)) {
			got[name] = r
			yielded++
		}
		require.Equal(t, len(named), yielded)
		require.Equal(t, map[string]await.Result[int]{
			"one": {Value: 1}, "two": {Value: 2}, "three": {Err: errBoom}, "four": {Err: await.ErrGoexit},
		}, got)
	}
	requireNoWorkers(t)
}

// The producer sends a task at seconds 1, 2, 3 and so on.
func TestASequenceMayReadAChannel(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		jobs := make(chan await.Task[int])
		var producer sync.WaitGroup
		producer.Go(func() {
			defer close(jobs)
			for i := range 4 {
				time.Sleep(time.Second)
				jobs <- deaf(time.Second/2, i)
			}
		})
		read := func(yield func(int, await.Task[int]) bool) {
			for i := 0; ; i++ {
				if task, ok := <-jobs; !ok || !yield(i, task) {
					return
				}
			}
		}
		require.Equal(t, []arrival{
			{0, 0, nil, 1500 * time.Millisecond},
			{1, 1, nil, 2500 * time.Millisecond},
			{2, 2, nil, 3500 * time.Millisecond},
			{3, 3, nil, 4500 * time.Millisecond},
		}, arrivals(stream(t.Context(), read, await.Limit(2))))
		producer.Wait()
	})
}

// The first stage makes three results per second, the second takes three
// seconds for each.
func TestTwoStagesReachExactlyTheirOwnLimits(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		const n = 60
		var second census
		first := wellOf(copies(n, deaf(time.Second, 1))...)
		results := stream(t.Context(), first.seq, await.Limit(3))
		tasks := func(yield func(int, await.Task[int]) bool) {
			for i, r := range results {
				if !yield(i, second.wrap(deaf(3*time.Second, 10*i+r.Value))[0]) {
					return
				}
			}
		}
		start := time.Now()
		var got []int
		for i, r := range stream(t.Context(), tasks, await.Limit(5)) {
			require.Equal(t, await.Result[int]{Value: 10*i + 1}, r)
			got = append(got, i)
		}
		require.ElementsMatch(t, below(n), got)
		require.EqualValues(t, 3, first.peak.Load())
		require.EqualValues(t, 5, second.peak.Load())
		// Three places of the second stage are taken from second 1 on, two from
		// second 2 on, and none is idle until all is done.
		require.Equal(t, time.Duration(2+n/5*3)*time.Second, time.Since(start))
		first.requireOver(t)
	})
}

func TestLeavingTwoStagesEndsBoth(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				first, second := spring(time.Second), census{}
				results := stream(t.Context(), first.seq, await.Limit(3))
				tasks := func(yield func(int, await.Task[int]) bool) {
					for i := range results {
						if !yield(i, second.wrap(deaf(time.Second, i))[0]) {
							return
						}
					}
				}
				d.leave(stream(t.Context(), tasks, await.Limit(2), await.Buffer(1)), func() bool {
					time.Sleep(time.Minute) // until nothing moves any more
					return true
				})
				first.requireOver(t)
				require.EqualValues(t, 1+2+1, second.started.Load())
				require.Zero(t, second.running.Load())
			})
		})
	}
}

func TestAPanicInTheFirstOfTwoStagesIsRaisedFromTheSecond(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		first, second := spring(time.Second), census{}
		first.step = func(i int) {
			if i == 4 {
				detonate("sequence")
			}
		}
		raised := raisedBy(t, func() {
			arrivals(stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
				for i := range stream(t.Context(), first.seq, await.Limit(2)) {
					if !yield(i, second.wrap(after(time.Hour, i))[0]) {
						return
					}
				}
			}, await.Limit(9)))
		})
		inner, ok := raised.Value.(*await.PanicError)
		require.True(t, ok)
		require.Equal(t, "sequence", inner.Value)
		require.Contains(t, raised.Error(), "await_test.detonate(")
		first.requireOver(t)
		require.Zero(t, second.running.Load())
	})
}

func TestATaskMayRangeASequenceOfItsOwn(t *testing.T) {
	for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}} {
		bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
			var tree func(depth int) await.Task[int]
			tree = func(depth int) await.Task[int] {
				return func(ctx context.Context) (int, error) {
					size := 1
					if depth == 0 {
						return size, nil
					}
					for _, r := range stream(ctx, slices.All(copies(5, tree(depth-1))), opts...) {
						if r.Err != nil {
							return 0, r.Err
						}
						size += r.Value
					}
					return size, nil
				}
			}
			size, err := tree(4)(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1+5+25+125+625, size)
		})
	}
}

// A result has a kilobyte, so keeping them would take 100 MB.
func TestAnEndlessSequenceInConstantMemory(t *testing.T) {
	type block [1 << 10]byte
	for name, stream := range map[string]func(context.Context, iter.Seq2[int, await.Task[*block]], ...await.Option) iter.Seq2[int, await.Result[*block]]{
		"AsCompletedSeq": await.AsCompletedSeq[int, *block],
		"InOrderSeq":     await.InOrderSeq[int, *block],
	} {
		t.Run(name, func(t *testing.T) {
			heap := func() int {
				var stats runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&stats)
				return int(stats.HeapAlloc)
			}
			fill := func(context.Context, int) (*block, error) { return new(block), nil }
			before := heap()
			taken := 0
			for _, r := range stream(t.Context(), await.TaskSeq(naturals, fill), await.Limit(8)) {
				require.NoError(t, r.Err)
				if taken++; taken%25_000 == 0 {
					require.Less(t, heap(), before+4<<20)
				}
				if taken == 100_000 {
					break
				}
			}
			require.Equal(t, 100_000, taken)
			require.Less(t, heap(), before+4<<20)
			requireNoWorkers(t)
		})
	}
}

// Options.

func TestDetachOnASequenceWhenTheContextEnds(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 4*time.Second, errBoom)
		defer cancel()
		w := &well{n: endless, task: func(i int) await.Task[int] {
			if i < 2 {
				return deaf(time.Duration(1+i)*time.Second, i)
			}
			return deaf(time.Hour, i)
		}}
		var got []arrival
		start := time.Now()
		for i, r := range stream(ctx, w.seq, await.Limit(3), await.Detach()) {
			if got == nil {
				time.Sleep(4 * time.Second) // result 1 waits meanwhile
			}
			got = append(got, arrival{i, r.Value, r.Err, time.Since(start)})
		}
		require.Equal(t, []arrival{
			{0, 0, nil, 5 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 0, errBoom, 5 * time.Second},
			{3, 0, errBoom, 5 * time.Second},
			{4, 0, errBoom, 5 * time.Second},
		}, got)
		detachOutlive(2 * time.Hour)
		w.requireOver(t)
		require.EqualValues(t, 5, w.started.Load())
	})
}

func TestDetachOnASequenceThatIsBlockedWhenTheContextEnds(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errBoom)
		defer cancel()
		release := make(chan struct{})
		w := stuck(release, nil)
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 0, errBoom, 3 * time.Second},
		}, arrivals(stream(ctx, w.seq, await.Detach())))
		detachOutlive(time.Minute)
		w.requireLate(t, release)
	})
}

func TestDetachLeavesTheLoopOverASequenceAtOnce(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				causes := make(chan error, 1)
				w := spring(time.Hour)
				w.task = func(i int) await.Task[int] {
					return func(ctx context.Context) (int, error) {
						if i == 0 {
							time.Sleep(time.Second)
							return 0, nil
						}
						<-ctx.Done()
						causes <- context.Cause(ctx)
						time.Sleep(time.Hour)
						return 0, nil
					}
				}
				w.n = 2
				start := time.Now()
				d.leave(stream(t.Context(), w.seq, await.Detach()), func() bool { return true })
				require.Equal(t, time.Second, time.Since(start))
				require.Equal(t, await.ErrStopped, <-causes)
				require.EqualValues(t, 1, w.running.Load())
				detachOutlive(2 * time.Hour)
				w.requireOver(t)
			})
		})
	}
}

// The sequence is not in the middle of a step, because two tasks run, and one of
// them for long.
func TestWithDetachTheEndOfTheLoopCleansTheSequenceUp(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				w := spring(time.Hour)
				w.task = func(i int) await.Task[int] {
					if i == 0 {
						return deaf(time.Second, 0)
					}
					return deaf(time.Hour, i)
				}
				d.leave(stream(t.Context(), w.seq, await.Limit(2), await.Detach()), func() bool {
					synctest.Wait() // until the third runs
					return true
				})
				cleaned := w.cleaned
				detachOutlive(2 * time.Hour)
				require.Equal(t, 1, cleaned)
				w.requireOver(t)
				require.EqualValues(t, 3, w.pulled.Load())
			})
		})
	}
}

func TestDetachRaisesAPanicOfATaskOfASequenceAtOnce(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := wellOf(deaf(time.Hour, 0), detonating(time.Second, "boom"), deaf(time.Hour, 2))
		start := time.Now()
		requireRaised(t, "boom", func() { arrivals(stream(t.Context(), w.seq, await.Detach())) })
		require.Equal(t, time.Second, time.Since(start))
		detachOutlive(2 * time.Hour)
		w.requireOver(t)
	})
}

// In real time, the context ends at any moment of a task's life. Whatever has
// started comes once. A task that the sequence offers at that very moment may
// not be started any more, though one offered after it was.
func TestDetachOnASequenceYieldsEachKeyOnceWheneverTheContextEnds(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for cancelAt := range 200 {
			ctx, cancel := context.WithCancelCause(t.Context())
			var started [200]atomic.Bool
			w := &well{n: len(started), task: func(i int) await.Task[int] {
				return func(context.Context) (int, error) {
					started[i].Store(true)
					if i == cancelAt {
						go cancel(errBoom)
					}
					return i + 1, nil
				}
			}}
			yielded := make(map[int]bool)
			for i, r := range stream(ctx, w.seq, await.Limit(1+cancelAt%4), await.Detach()) {
				require.False(t, yielded[i], "twice")
				yielded[i] = true
				if r.Err == nil {
					require.Equal(t, i+1, r.Value)
				} else {
					require.Equal(t, errBoom, r.Err)
				}
			}
			cancel(nil)
			requireNoWorkers(t)
			for i := range started {
				require.False(t, started[i].Load() && !yielded[i], "task %d was started and not yielded", i)
			}
		}
	})
}

func TestWithDetachTheEndOfTheLoopWaitsForTheSequencesCleanup(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		start := time.Now()
		for range stream(t.Context(), func(yield func(int, await.Task[int]) bool) {
			defer time.Sleep(time.Minute)
			for i := 0; yield(i, deaf(time.Duration(i)*time.Hour, i)); i++ {
			}
		}, await.Limit(2), await.Detach()) {
			synctest.Wait() // until a task runs, and the sequence is in no step
			break
		}
		require.Equal(t, time.Minute, time.Since(start))
		detachOutlive(24 * time.Hour)
	})
}

// In this case the worker that was the last to leave cleans up.
func TestWithDetachTheEndOfTheLoopWaitsForTheCleanupThatAWorkerHasBegun(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		for range stream(ctx, func(yield func(int, await.Task[int]) bool) {
			defer time.Sleep(time.Minute)
			yield(0, after(time.Hour, 0))
		}, await.Limit(1), await.Detach()) {
			time.Sleep(time.Second) // the task returns meanwhile, and its worker leaves
		}
		require.Equal(t, time.Second+time.Minute, time.Since(start))
	})
}

// Tasks begin and return while the context ends. Whatever happens between two
// steps of a worker, a task has begun and is yielded, or has not begun.
func TestWithDetachATaskThatHasBegunIsYieldedAtWhateverMomentTheContextEnds(t *testing.T) {
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		orHang(func() {
			for range rounds(20_000) {
				ctx := endingSoon(t.Context(), 3000)
				var begun atomic.Int64
				task := func(context.Context, int) (int, error) {
					begun.Add(1)
					runtime.Gosched()
					return 0, nil
				}
				yielded := 0
				for range stream(ctx, await.TaskSeq(naturals, task), await.Detach(), await.Limit(8)) {
					yielded++
				}
				require.GreaterOrEqual(t, int64(yielded), begun.Load())
			}
		})
		requireNoWorkers(t)
	})
}

// The task that goes on for an hour keeps its call, but not what the others
// were about.
func TestDetachKeepsNoKeyOfATaskThatHasReturned(t *testing.T) {
	type page [1 << 16]byte
	takes := []time.Duration{time.Second, time.Hour, time.Minute, time.Minute}
	for name, stream := range map[string]func(context.Context, iter.Seq2[*page, await.Task[int]], ...await.Option) iter.Seq2[*page, await.Result[int]]{
		"AsCompletedSeq": await.AsCompletedSeq[*page, int],
		"InOrderSeq":     await.InOrderSeq[*page, int],
	} {
		for leave := range takes { // after 0 results: not at all
			t.Run(fmt.Sprintf("%s left after %d", name, leave), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					keys := make([]weak.Pointer[page], len(takes))
					requireGone := func(which ...int) {
						time.Sleep(2 * time.Minute)
						synctest.Wait()
						runtime.GC()
						for _, i := range which {
							if keys[i].Value() != nil {
								t.Errorf("key %d is kept", i)
							}
						}
					}
					yielded := 0
					for range stream(ctx, func(yield func(*page, await.Task[int]) bool) {
						for i, d := range takes {
							key := new(page)
							keys[i] = weak.Make(key)
							if !yield(key, deaf(d, i)) {
								return
							}
						}
					}, await.Detach()) {
						yielded++
						if yielded == leave {
							break
						}
						if yielded == len(takes) {
							requireGone(0, 2)
						}
					}
					requireGone(0, 2, 3)
					detachOutlive(2 * time.Hour)
				})
			})
		}
	}
}

func TestAYieldedResultIsNotKept(t *testing.T) {
	type page [1 << 16]byte
	for name, stream := range map[string]func(context.Context, []await.Task[*page]) iter.Seq2[int, await.Result[*page]]{
		"AsCompleted": func(ctx context.Context, tasks []await.Task[*page]) iter.Seq2[int, await.Result[*page]] {
			return await.AsCompleted(ctx, tasks)
		},
		"InOrder": func(ctx context.Context, tasks []await.Task[*page]) iter.Seq2[int, await.Result[*page]] {
			return await.InOrder(ctx, tasks)
		},
		"AsCompletedSeq": func(ctx context.Context, tasks []await.Task[*page]) iter.Seq2[int, await.Result[*page]] {
			return await.AsCompletedSeq(ctx, slices.All(tasks))
		},
		"InOrderSeq": func(ctx context.Context, tasks []await.Task[*page]) iter.Seq2[int, await.Result[*page]] {
			return await.InOrderSeq(ctx, slices.All(tasks))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pages [4]weak.Pointer[page]
				tasks := make([]await.Task[*page], len(pages))
				for i := range tasks {
					tasks[i] = func(context.Context) (*page, error) {
						if i == 0 {
							time.Sleep(time.Second) // in input order, the others wait for it
						}
						value := new(page)
						pages[i] = weak.Make(value)
						return value, nil
					}
				}
				last := -1
				for i := range stream(t.Context(), tasks) {
					synctest.Wait() // the others are there too
					if last >= 0 {
						runtime.GC()
						if pages[last].Value() != nil {
							t.Errorf("the result %d is kept", last)
						}
					}
					last = i
				}
			})
		})
	}
}

func TestNameOnASequence(t *testing.T) {
	for _, s := range seqStreamers {
		t.Run(s.name, func(t *testing.T) {
			tasks := copies(3, func(ctx context.Context) (int, error) {
				if label, _ := pprof.Label(ctx, "await"); label != "crawl" {
					t.Errorf("the context has the label await=%q", label)
				}
				if record := nameOwnRecord(t); !strings.Contains(record, `"await":"crawl"`) {
					t.Errorf("the goroutine has the labels %s", record)
				}
				return 0, nil
			})
			traced := traceOf(t, func() {
				require.Len(t, arrivals(s.stream(t.Context(), slices.All(tasks), await.Limit(1), await.Name("crawl"))), 3)
			})
			requireTraced(t, traced, "crawl", "await.task")
		})
	}
}

func TestOfOptionsOnASequenceThatAreGivenTwiceTheLastCounts(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		w := spring(0)
		for range stream(t.Context(), w.seq, await.Limit(9), await.Buffer(9), await.Limit(2), await.Buffer(3)) {
			synctest.Wait()
			require.EqualValues(t, 1+2+3, w.started.Load())
			break
		}
	})
}

// Another call has the only place until second 10.
func TestWithinALimiterASequenceIsPulledOneTaskAheadOfItsPlace(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		limiter := await.NewLimiter(1)
		var other sync.WaitGroup
		other.Go(func() { await.Settle(t.Context(), seconds(10), await.Within(limiter)) })
		synctest.Wait()
		w := wellOf(seconds(1, 1, 1)...)
		ended := make(chan []arrival)
		go func() { ended <- arrivals(stream(t.Context(), w.seq, await.Within(limiter))) }()
		time.Sleep(9 * time.Second)
		require.Zero(t, w.started.Load())
		require.LessOrEqual(t, w.pulled.Load(), int64(1))
		require.Equal(t, []arrival{
			{0, 0, nil, 11 * time.Second},
			{1, 1, nil, 12 * time.Second},
			{2, 2, nil, 13 * time.Second},
		}, <-ended)
		require.EqualValues(t, 1, w.peak.Load())
		other.Wait()
	})
}

// requireTaskWaitsInVain ranges an endless sequence whose first task waits for
// the only place in a limiter when the context ends.
func requireTaskWaitsInVain(ctx context.Context, t *testing.T, stream seqStreamer, opts ...await.Option) {
	t.Helper()
	limiter := await.NewLimiter(1)
	var other sync.WaitGroup
	defer other.Wait()
	other.Go(func() { //nolint:contextcheck // the other call does not end with ctx
		await.Settle(t.Context(), seconds(60), await.Within(limiter))
	})
	synctest.Wait()
	w := spring(time.Second)
	start := time.Now()
	require.Empty(t, arrivals(stream(ctx, w.seq, append(opts, await.Within(limiter))...)))
	require.Equal(t, time.Second, time.Since(start))
	synctest.Wait()
	w.requireOver(t)
	require.Zero(t, w.started.Load())
	other.Wait()
	again := stream(t.Context(), slices.All(seconds(1, 2)), await.Within(limiter)) //nolint:contextcheck // ctx has ended
	require.Len(t, arrivals(again), 2, "the place is free again")
}

func TestATaskOfASequenceThatWaitsForItsPlaceDoesNotHoldUpTheEnd(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			bothSeqs(t, func(t *testing.T, stream seqStreamer) {
				for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(1), await.Buffer(0)}} {
					ctx, cancel := e.end(t.Context(), time.Second)
					requireTaskWaitsInVain(ctx, t, stream, opts...)
					cancel()
				}
			})
		})
	}
}

func TestWithDetachATaskOfASequenceThatWaitsForItsPlaceHasNoResult(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		requireTaskWaitsInVain(ctx, t, stream, await.Detach())
	})
}

func TestABlockedSequenceHasNoPlaceInTheLimiter(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		limiter := await.NewLimiter(1)
		release := make(chan struct{})
		w := stuck(release, nil)
		w.n = 3
		ended := make(chan []arrival)
		go func() { ended <- arrivals(stream(t.Context(), w.seq, await.Within(limiter))) }()
		time.Sleep(time.Minute)
		start := time.Now()
		require.Len(t, arrivals(stream(t.Context(), slices.All(seconds(1, 1, 1)), await.Within(limiter))), 3)
		require.Equal(t, 3*time.Second, time.Since(start))
		close(release)
		require.Len(t, <-ended, 3)
	})
}

func TestSequencesShareALimiter(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		limiter := await.NewLimiter(3)
		var c census
		var group sync.WaitGroup
		start := time.Now()
		for range 4 {
			group.Go(func() {
				got := arrivals(stream(t.Context(), slices.All(c.wrap(copies(6, deaf(time.Second, 0))...)), await.Limit(2), await.Within(limiter)))
				require.Len(t, got, 6)
			})
		}
		group.Wait()
		require.EqualValues(t, 3, c.peak.Load())
		// Three calls may be through when the last one has three tasks left, two
		// of which may run at once. Which call is first, when tasks of several
		// end in the same instant, is open.
		require.Contains(t, []time.Duration{8 * time.Second, 9 * time.Second}, time.Since(start))
	})
}

// With one place, any of these would deadlock if it were held while waiting.
func TestSequencesNestWithinALimiterOfOne(t *testing.T) {
	bothSeqs(t, func(t *testing.T, stream seqStreamer) {
		limiter := await.NewLimiter(1)
		var leaves census
		leaf := leaves.wrap(deaf(time.Second, 1))[0]
		var tree func(depth int) await.Task[int]
		tree = func(depth int) await.Task[int] {
			return func(ctx context.Context) (int, error) {
				if depth == 0 {
					return leaf(ctx)
				}
				sum := 0
				for _, r := range stream(ctx, slices.All(copies(3, tree(depth-1))), await.Within(limiter)) {
					sum += r.Value
				}
				return sum, nil
			}
		}
		start := time.Now()
		sum, err := tree(3)(t.Context())
		require.NoError(t, err)
		require.Equal(t, 27, sum)
		require.EqualValues(t, 1, leaves.peak.Load())
		require.Equal(t, 27*time.Second, time.Since(start))

		var stages census
		results := stream(t.Context(), slices.All(stages.wrap(copies(9, deaf(time.Second, 1))...)), await.Within(limiter))
		second := func(yield func(int, await.Task[int]) bool) {
			for i, r := range results {
				if !yield(i, stages.wrap(deaf(time.Second, r.Value))[0]) {
					return
				}
			}
		}
		require.Len(t, arrivals(stream(t.Context(), second, await.Within(limiter))), 9)
		require.EqualValues(t, 1, stages.peak.Load())
	})
}

// Threads.

// A coroutine, which the sequence is, goes on only in a goroutine that is
// locked to its thread like the one that made it.
func TestTheRangingGoroutineMayBeLockedToItsThread(t *testing.T) {
	locked := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			f()
		}()
		<-done
	}
	bothSeqsOutside(t, func(t *testing.T, stream seqStreamer) {
		for _, opts := range [][]await.Option{nil, {await.Limit(2)}, {await.Limit(2), await.Buffer(0)}, {await.Within(await.NewLimiter(2))}} {
			w := wellOf(instant(100)...)
			locked(func() { require.Len(t, arrivals(stream(t.Context(), w.seq, opts...)), 100) })
			w.requireOver(t)
			locked(func() {
				stages := func(yield func(int, await.Task[int]) bool) {
					for i := range stream(t.Context(), slices.All(instant(100)), opts...) {
						if !yield(i, deaf(0, i)) {
							return
						}
					}
				}
				require.Len(t, arrivals(stream(t.Context(), stages, opts...)), 100)
			})
		}
		for _, d := range departures {
			w := spring(0)
			locked(func() {
				d.leave(stream(t.Context(), w.seq, await.Limit(2), await.Buffer(1)), func() bool {
					for w.started.Load() < 1+2+1 || w.running.Load() > 0 {
						runtime.Gosched()
					}
					return true
				})
			})
			w.requireOver(t)
		}
		// In the middle of the loop.
		w := wellOf(instant(100)...)
		for i := range stream(t.Context(), w.seq, await.Limit(2)) {
			if i%2 == 0 {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread() //nolint:gocritic // it is the goroutine's, not the loop's
			}
		}
		w.requireOver(t)
	})
}

// Everything at once.

func TestASequenceUnderStressYieldsEachKeyOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, s := range seqStreamers {
		t.Run(s.name, func(t *testing.T) {
			for range 500 {
				n, limit, buffer := rng.IntN(51), 1+rng.IntN(5), rng.IntN(6)
				kinds := make([]int, n)
				for i := range kinds {
					kinds[i] = rng.IntN(7)
				}
				var yielded atomic.Int64
				bound := int64(limit + buffer + 1) // the loop counts a result only when it has it
				w := &well{n: n}
				w.task = func(i int) await.Task[int] {
					return func(context.Context) (int, error) {
						if w.started.Load()-yielded.Load() > bound {
							t.Error("too many are started and unread")
						}
						switch kinds[i] {
						case 0:
							return i, nil
						case 1:
							return i, errBoom
						case 2:
							runtime.Goexit()
						case 3:
							detonate(i)
						case 4:
							runtime.Gosched()
						case 5:
							time.Sleep(time.Microsecond)
						}
						return i, nil
					}
				}
				w.step = func(i int) {
					if i%5 == n%5 {
						runtime.Gosched()
					}
				}
				opts := []await.Option{await.Recover(), await.Limit(limit), await.Buffer(buffer)}
				if n%3 == 0 {
					opts = append(opts, await.Within(await.NewLimiter(1+n%4)))
				}
				if n%7 == 0 {
					opts = append(opts, await.Detach())
				}
				keys := []int{}
				for i, r := range s.stream(t.Context(), w.seq, opts...) {
					yielded.Add(1)
					keys = append(keys, i)
					switch kinds[i] {
					case 1:
						require.Equal(t, await.Result[int]{Value: i, Err: errBoom}, r)
					case 2:
						require.Equal(t, await.Result[int]{Err: await.ErrGoexit}, r)
					case 3:
						requirePanicError(t, r.Err)
					default:
						require.Equal(t, await.Result[int]{Value: i}, r)
					}
				}
				if s.name == "InOrderSeq" {
					require.True(t, slices.IsSorted(keys))
				}
				slices.Sort(keys)
				require.Equal(t, below(n), keys)
				require.LessOrEqual(t, w.peak.Load(), int64(limit))
				w.requireOver(t)
			}
			requireNoWorkers(t)
		})
	}
}

// TaskSeq.

func TestTaskSeqGivesEachInputToTheFunctionAndBackAsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "!")
		tasks := await.TaskSeq(slices.Values([]string{"a", "b", "a"}), func(ctx context.Context, in string) (string, error) {
			if in == "b" {
				return in, errBoom
			}
			return in + ctx.Value(key{}).(string), nil
		})
		for range 2 { // ranging again is fine if it is for the inputs
			var inputs []string
			var results []await.Result[string]
			for in, r := range await.AsCompletedSeq(ctx, tasks, await.Limit(1)) {
				inputs = append(inputs, in)
				results = append(results, r)
			}
			require.Equal(t, []string{"a", "b", "a"}, inputs)
			require.Equal(t, []await.Result[string]{{Value: "a!"}, {Value: "b", Err: errBoom}, {Value: "a!"}}, results)
		}
	})
}

func TestTaskSeqIsLazyAndCallsNothingItself(t *testing.T) {
	pulled, cleaned := 0, false
	inputs := func(yield func(int) bool) {
		defer func() { cleaned = true }()
		for i := 0; ; i++ {
			pulled++
			if !yield(i) {
				return
			}
		}
	}
	tasks := await.TaskSeq(inputs, func(context.Context, int) (int, error) {
		t.Error("called")
		return 0, nil
	})
	require.Zero(t, pulled)
	for in, task := range tasks {
		require.NotNil(t, task)
		require.Equal(t, pulled, in+1)
		if in == 2 {
			break
		}
	}
	require.Equal(t, 3, pulled)
	require.True(t, cleaned)
}

func TestTaskSeqOfNothingIsEmpty(t *testing.T) {
	double := func(_ context.Context, in int) (int, error) { return 2 * in, nil }
	for range await.TaskSeq(slices.Values([]int(nil)), double) {
		t.Error("there is nothing")
	}
}

// Bad input.

func TestBadInputOfASeqStreamPanicsAtTheCall(t *testing.T) {
	good := slices.All(instant(3))
	var noContext context.Context
	for _, s := range seqStreamers {
		for _, test := range []struct {
			name string
			call func()
			want string
		}{
			{"nil context", func() { s.stream(noContext, good) }, "context"},
			{"nil sequence", func() { s.stream(t.Context(), nil) }, "sequence"},
			{"nil sequence and option", func() { s.stream(t.Context(), nil, nil) }, "nil"},
			{"nil option", func() { s.stream(t.Context(), good, await.Limit(1), nil) }, "option 1"},
			{"nil limiter", func() { s.stream(t.Context(), good, await.Within(nil)) }, "limiter"},
		} {
			t.Run(s.name+"/"+test.name, func(t *testing.T) { requireBadInput(t, test.want, test.call) })
		}
	}
	t.Run("TaskSeq", func(t *testing.T) {
		var none func(context.Context, int) (int, error)
		some := func(context.Context, int) (int, error) { return 0, nil }
		requireBadInput(t, "function", func() { await.TaskSeq(naturals, none) })
		requireBadInput(t, "sequence", func() { await.TaskSeq(nil, some) })
	})
}
