package await_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/require"
)

// queueOf is a queue of tasks, each with its index as the key.
func queueOf(tasks ...await.Task[int]) *await.Queue[int, int] {
	q := new(await.Queue[int, int])
	for i, task := range tasks {
		q.Add(i, task)
	}
	return q
}

// queueOptions are options that change when a loop yields, and not what. They
// are made anew for each test, which shares the limiters among its loops.
func queueOptions() map[string][]await.Option {
	return map[string][]await.Option{
		"no limit":          nil,
		"limit 1, buffer 0": {await.Limit(1), await.Buffer(0)},
		"limit 2":           {await.Limit(2)},
		"limit 8, buffer 5": {await.Limit(8), await.Buffer(5)},
		"within 1":          {await.Within(await.NewLimiter(1))},
		"within 2, limit 8": {await.Within(await.NewLimiter(2)), await.Limit(8)},
		"recover, name":     {await.Recover(), await.Name("queue"), await.OnCancel(func() {})},
	}
}

// eachQueueOption runs f under all of queueOptions, in a bubble.
func eachQueueOption(t *testing.T, f func(t *testing.T, opts []await.Option)) {
	t.Helper()
	for name := range queueOptions() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, queueOptions()[name]) })
		})
	}
}

// eachQueueOptionForReal runs f under all of queueOptions, and with Detach, on
// real goroutines.
func eachQueueOptionForReal(t *testing.T, f func(t *testing.T, opts []await.Option)) {
	t.Helper()
	all := queueOptions()
	all["limit 2, detach"] = []await.Option{await.Limit(2), await.Detach()}
	all["within 2, detach"] = []await.Option{await.Within(await.NewLimiter(2)), await.Detach()}
	for name, opts := range all {
		t.Run(name, func(t *testing.T) {
			f(t, opts)
			tasktest.RequireNoWorkers(t)
		})
	}
}

func TestQueue(t *testing.T) {
	t.Run("is ready as the zero value", func(t *testing.T) {
		var q await.Queue[string, float64]
		require.Zero(t, q.Len())
		q.Add("pi", tasktest.Deaf(0, 3.14))
		require.Equal(t, 1, q.Len())
		require.Equal(t, map[string]await.Result[float64]{"pi": {Value: 3.14}}, maps.Collect(q.AsCompleted(t.Context())))
		require.Zero(t, q.Len())
	})
	t.Run("that is empty yields nothing, at once", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			start := time.Now()
			var q await.Queue[int, int]
			for _, ctx := range []context.Context{t.Context(), endsAfter(t, 0), t.Context()} {
				require.Empty(t, arrivals(q.AsCompleted(ctx, opts...)))
			}
			require.Zero(t, time.Since(start))
		})
	})
	t.Run("starts nothing before the range, nor before the first call of iter.Pull2's next", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c counter
			q := queueOf(c.wrap(instant(2)...)...)
			results := q.AsCompleted(t.Context())
			_, stop := iter.Pull2(results)
			synctest.Wait()
			stop()
			q.Add(2, c.one(tasktest.Deaf(0, 2)))
			synctest.Wait()
			require.Zero(t, c.started.Load())
			require.Equal(t, 3, q.Len())
			require.Len(t, arrivals(results), 3)
		})
	})
	t.Run("is added to before the loop, by a task, by a goroutine, by the body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			q.Add(0, func(context.Context) (int, error) {
				time.Sleep(time.Second)
				q.Add(10, tasktest.Deaf(2*time.Second, 10))
				return 0, nil
			})
			time.AfterFunc(2500*time.Millisecond, func() { q.Add(20, tasktest.Deaf(1500*time.Millisecond, 20)) })
			start := time.Now()
			var got []arrival
			for key, r := range q.AsCompleted(t.Context()) {
				got = append(got, arrival{key, r.Value, r.Err, time.Since(start)})
				if key == 20 {
					q.Add(30, tasktest.Deaf(time.Hour, 30)) // at the last result
				}
			}
			require.Equal(t, []arrival{
				{0, 0, nil, 1 * time.Second},
				{10, 10, nil, 3 * time.Second},
				{20, 20, nil, 4 * time.Second},
				{30, 30, nil, 4*time.Second + time.Hour},
			}, got)
			require.Equal(t, 4*time.Second+time.Hour, time.Since(start))
		})
	})
	// The tasks wait for each other. In a bubble, one that does not start is a
	// deadlock, and the test fails at once.
	for name, begin := range map[string]func(q *await.Queue[int, int], addAll func()){
		"before the loop": func(_ *await.Queue[int, int], addAll func()) { addAll() },
		"by a task": func(q *await.Queue[int, int], addAll func()) {
			q.Add(-1, func(context.Context) (int, error) { addAll(); return 0, nil })
		},
		"by a task that goes on": func(q *await.Queue[int, int], addAll func()) {
			q.Add(-1, func(context.Context) (int, error) { addAll(); time.Sleep(time.Hour); return 0, nil })
		},
		"by a goroutine": func(q *await.Queue[int, int], addAll func()) {
			q.Add(-1, tasktest.Deaf(2*time.Second, 0))
			time.AfterFunc(time.Second, addAll)
		},
		"by the body": func(q *await.Queue[int, int], _ func()) { q.Add(-2, tasktest.Deaf(time.Second, 0)) },
	} {
		t.Run("without a limit runs all at once that is added "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 300
				var q await.Queue[int, int]
				var in atomic.Int64
				open := make(chan struct{})
				addAll := func() {
					for i := range n {
						q.Add(i, func(context.Context) (int, error) {
							if in.Add(1) == n {
								close(open)
							}
							<-open
							return 0, nil
						})
					}
				}
				begin(&q, addAll)
				for key := range q.AsCompleted(t.Context()) {
					if key == -2 {
						addAll()
					}
				}
				require.EqualValues(t, n, in.Load())
			})
		})
	}
	t.Run("starts what the body adds while the body still runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(seconds(1)...)
			start := time.Now()
			for key := range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(0)) {
				require.Equal(t, time.Duration(1+3*key)*time.Second, time.Since(start))
				if key < 3 {
					q.Add(key+1, tasktest.Deaf(2*time.Second, 0))
					time.Sleep(3 * time.Second)
				}
			}
		})
	})
	t.Run("starts tasks in the order in which they were added", func(t *testing.T) {
		var q await.Queue[int, int]
		var order []int // without locks, because of Limit(1): the race detector watches
		added := 0
		var add func(depth int)
		add = func(depth int) {
			key := added
			added++
			q.Add(key, func(context.Context) (int, error) {
				order = append(order, key)
				for range 3 {
					if depth > 0 {
						add(depth - 1)
						runtime.Gosched()
					}
				}
				return key, nil
			})
		}
		add(6)
		add(6)
		got := keysOf(arrivals(q.AsCompleted(t.Context(), await.Limit(1))))
		require.Len(t, order, 2*(1+3+9+27+81+243+729))
		require.True(t, slices.IsSorted(order))
		require.Equal(t, order, got)
		tasktest.RequireNoWorkers(t)
	})
	// Work comes at random from a goroutine. Between two whole seconds no task
	// starts or ends.
	t.Run("keeps exactly the limit busy while there is as much to do", func(t *testing.T) {
		for _, limit := range []int{2, 5} {
			for _, opts := range [][]await.Option{
				{await.Limit(limit)},
				{await.Limit(limit), await.Buffer(0)},
				{await.Within(await.NewLimiter(limit))},
			} {
				synctest.Test(t, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(11, uint64(limit)))
					var c counter
					q := queueOf(c.wrap(seconds(300)...)...) // so that the loop does not end before
					go func() {
						for i := range 60 {
							time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
							q.Add(1+i, c.one(tasktest.Deaf(time.Duration(1+rng.IntN(6))*time.Second, 0)))
						}
					}()
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						arrivals(q.AsCompleted(t.Context(), opts...))
					}()
					for time.Sleep(time.Second / 2); q.Len() > 0; time.Sleep(time.Second) {
						require.EqualValues(t, min(limit, q.Len()), c.running.Load())
					}
					<-ended
				})
			}
		}
	})
	t.Run("has keys of any type, and the same key more than once", func(t *testing.T) {
		var q await.Queue[[]string, int] // which no map could have
		q.Add([]string{"a", "b"}, tasktest.Deaf(0, 1))
		q.Add(nil, tasktest.Deaf(0, 2))
		q.Add([]string{"a", "b"}, tasktest.Deaf(0, 3))
		got := make(map[int][]string)
		for key, r := range q.AsCompleted(t.Context()) {
			got[r.Value] = key
		}
		require.Equal(t, map[int][]string{1: {"a", "b"}, 2: nil, 3: {"a", "b"}}, got)
	})
	t.Run("runs a task as often as it was added", func(t *testing.T) {
		var q await.Queue[int, int]
		calls := 0
		task := func(context.Context) (int, error) { calls++; return calls, nil }
		q.Add(7, task)
		q.Add(7, task)
		got := arrivals(q.AsCompleted(t.Context(), await.Limit(1)))
		require.Equal(t, []int{1, 2}, []int{got[0].value, got[1].value})
	})
	t.Run("shows a task what was written before the Add, and the body what the task wrote", func(t *testing.T) {
		eachQueueOptionForReal(t, func(t *testing.T, opts []await.Option) {
			var q await.Queue[int, int]
			wrote := make([]int, 500)
			for i := range wrote {
				wrote[i] = -1
				q.Add(i, func(context.Context) (int, error) {
					wrote[i] += i + 2
					if i%10 == 0 {
						runtime.Goexit()
					}
					return i, nil
				})
			}
			for key := range q.AsCompleted(t.Context(), opts...) {
				require.Equal(t, key+1, wrote[key])
				wrote[key] = 0
			}
		})
	})
}

func TestQueueAdd(t *testing.T) {
	t.Run("panics if the task is nil, and adds nothing", func(t *testing.T) {
		var q await.Queue[int, int]
		requireBadInput(t, "Queue.Add: the task", func() { q.Add(1, nil) })
		require.Zero(t, q.Len())
	})
	t.Run("of a nil task by a task is that task's panic", func(t *testing.T) {
		var q await.Queue[int, int]
		q.Add(7, func(context.Context) (int, error) { q.Add(8, nil); return 0, nil })
		raised := raisedBy(t, func() { arrivals(q.AsCompleted(t.Context())) })
		require.Equal(t, 7, raised.Key)
		require.Contains(t, fmt.Sprint(raised.Value), "await: ")
		require.Zero(t, q.Len())
	})
	t.Run("by a task after the loop was left keeps the task for the next loop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			q.Add(0, tasktest.Deaf(time.Second, 0))
			q.Add(1, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				q.Add(2, tasktest.Deaf(time.Second, 2))
				return 1, nil
			})
			for range q.AsCompleted(t.Context()) {
				break
			}
			require.Equal(t, 2, q.Len())
			require.Equal(t, []arrival{{1, 1, nil, 0}, {2, 2, nil, time.Second}}, arrivals(q.AsCompleted(t.Context())))
		})
	})
	t.Run("by a task after the loop was left starts no goroutine", func(t *testing.T) {
		// With one processor, a goroutine that Add would start cannot be gone when
		// the task counts them.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		more := 0
		for range 100 {
			var q await.Queue[int, int]
			before, after := 0, 0
			q.Add(0, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				before = tasktest.Workers()
				q.Add(2, tasktest.Deaf(0, 2))
				after = tasktest.Workers()
				return 0, nil
			})
			q.Add(1, tasktest.Deaf(0, 1))
			for range q.AsCompleted(t.Context()) {
				break
			}
			if after > before {
				more++
			}
		}
		// The scheduler may run the task between the end of its context and the
		// moment when the queue learns of it.
		require.Less(t, more, 50, "loops after which a goroutine was started, of 100")
	})
	t.Run("by a task whose context has ended, while the loop goes on, keeps the task too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			q.Add(0, func(context.Context) (int, error) {
				time.Sleep(5 * time.Second)
				q.Add(1, tasktest.Deaf(time.Second, 1)) // by a task
				return 0, nil
			})
			time.AfterFunc(3*time.Second, func() { q.Add(2, tasktest.Deaf(time.Second, 2)) }) // while the loop waits
			start := time.Now()
			for key := range q.AsCompleted(endsAfter(t, 2*time.Second)) {
				require.Zero(t, key)
				q.Add(3, tasktest.Deaf(time.Second, 3)) // by the body
			}
			require.Equal(t, 5*time.Second, time.Since(start))
			require.Equal(t, 3, q.Len())
			require.ElementsMatch(t, []int{1, 2, 3}, keysOf(arrivals(q.AsCompleted(t.Context()))))
		})
	})
}

func TestQueueLen(t *testing.T) {
	t.Run("counts what was added and not yet handed to a loop, at every step", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			lenAfter := func(d time.Duration, add ...await.Task[int]) await.Task[int] {
				return func(context.Context) (int, error) {
					time.Sleep(d)
					for i, task := range add {
						q.Add(2+i, task)
					}
					return q.Len(), nil
				}
			}
			q.Add(0, lenAfter(time.Second))
			q.Add(1, lenAfter(2*time.Second, lenAfter(time.Second), lenAfter(2*time.Second)))
			require.Equal(t, 2, q.Len())
			var inTask, inBody []int
			for _, r := range q.AsCompleted(t.Context()) {
				inTask = append(inTask, r.Value)
				inBody = append(inBody, q.Len())
			}
			require.Equal(t, []int{2, 3, 2, 1}, inTask)
			require.Equal(t, []int{1, 2, 1, 0}, inBody)
		})
	})
	t.Run("counts results that wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(instant(10)...)
			for left := 9; left >= 0; left-- {
				for range q.AsCompleted(t.Context()) {
					synctest.Wait() // all have finished
					require.Equal(t, left, q.Len())
					break
				}
			}
		})
	})
	t.Run("is exact while tasks finish in any order and more are added", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			const most = 100
			rng := rand.New(rand.NewPCG(15, 16))
			var q await.Queue[int, int]
			added, handed := 0, 0
			add := func(n int) {
				for ; n > 0 && added < most; n-- {
					q.Add(added, tasktest.Deaf(time.Duration(rng.IntN(9))*time.Second, 0))
					added++
					require.Equal(t, added-handed, q.Len())
				}
			}
			add(3)
			for range q.AsCompleted(t.Context(), opts...) {
				handed++
				require.Equal(t, added-handed, q.Len())
				add(rng.IntN(3))
				time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
				require.Equal(t, added-handed, q.Len())
				if handed == added {
					add(1)
				}
			}
			require.Equal(t, most, handed)
		})
	})
}

func TestQueueEnd(t *testing.T) {
	t.Run("does not come while a task runs that may add", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			const generations = 20
			var q await.Queue[int, int]
			var grow func(k int) await.Task[int]
			grow = func(k int) await.Task[int] {
				return func(context.Context) (int, error) {
					time.Sleep(time.Hour)
					if k < generations {
						q.Add(k+1, grow(k+1))
					}
					return k, nil
				}
			}
			q.Add(1, grow(1))
			start := time.Now()
			got := arrivals(q.AsCompleted(t.Context(), opts...))
			require.Len(t, got, generations)
			for i, r := range got {
				require.Equal(t, arrival{i + 1, i + 1, nil, time.Duration(i+1) * time.Hour}, r)
			}
			require.Equal(t, generations*time.Hour, time.Since(start), "the loop ends with the last result")
		})
	})
	for name, end := range map[string]func() (int, error){
		"an error": func() (int, error) { return 0, tasktest.ErrBoom },
		"a Goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
		"a panic":  func() (int, error) { panic("boom") },
	} {
		t.Run("does not come when a task adds and then ends by "+name, func(t *testing.T) {
			eachQueueOption(t, func(t *testing.T, opts []await.Option) {
				var q await.Queue[int, int]
				q.Add(0, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					q.Add(1, tasktest.Deaf(time.Second, 1))
					return end()
				})
				got := arrivals(q.AsCompleted(t.Context(), append(slices.Clip(opts), await.Recover())...))
				require.Equal(t, []int{0, 1}, keysOf(got))
				require.Error(t, got[0].err)
				require.Equal(t, arrival{1, 1, nil, 2 * time.Second}, got[1])
			})
		})
	}
	t.Run("leaves a queue that is ready for more", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			var q await.Queue[int, int]
			results := q.AsCompleted(t.Context(), opts...)
			for round := range 5 {
				for i := range round {
					q.Add(i, tasktest.Deaf(time.Second, i))
				}
				require.Len(t, arrivals(results), round)
				require.Zero(t, q.Len())
			}
		})
	})
	t.Run("stays the end for iter.Pull2, whatever is added then", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(seconds(1, 2)...)
			next, stop := iter.Pull2(q.AsCompleted(t.Context()))
			for want := range 4 {
				key, r, ok := next()
				require.True(t, ok)
				require.Equal(t, want, key)
				require.Equal(t, want, r.Value)
				if want < 2 {
					q.Add(want+2, tasktest.Deaf(2*time.Second, want+2))
				}
			}
			_, _, ok := next()
			require.False(t, ok)
			q.Add(4, tasktest.Deaf(time.Second, 4))
			_, _, ok = next()
			require.False(t, ok)
			stop()
			require.Equal(t, []int{4}, keysOf(arrivals(q.AsCompleted(t.Context()))))
		})
	})
}

// Each Add has exactly one result, over however many loops.
func TestQueueKeeps(t *testing.T) {
	// Two run at a time. When the loop is left, at second 1, tasks 1 and 2 run,
	// and tasks 3 to 5 have not started.
	for _, x := range exits {
		t.Run("what ran and what had not started, when the loop is left by "+x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c counter
				q := queueOf(c.wrap(
					tasktest.Deaf(time.Second, 10),
					tasktest.After(time.Hour, 11),
					tasktest.Deaf(8*time.Second, 12),
					tasktest.Deaf(1*time.Second, 13),
					tasktest.Deaf(2*time.Second, 14),
					tasktest.Deaf(3*time.Second, 15),
				)...)
				start := time.Now()
				x.leave(q.AsCompleted(t.Context(), await.Limit(2)), func() {
					synctest.Wait() // until the third runs
					require.Equal(t, 5, q.Len())
				})
				require.Equal(t, 9*time.Second, time.Since(start))
				require.Zero(t, c.running.Load())
				require.Equal(t, 5, q.Len())

				q.Add(6, c.one(tasktest.Deaf(time.Second, 16)))
				time.Sleep(time.Hour)
				require.EqualValues(t, 3, c.started.Load(), "nothing starts without a loop")
				require.Equal(t, []arrival{
					{1, 0, await.ErrStopped, 0},
					{2, 12, nil, 0},
					{3, 13, nil, 1 * time.Second},
					{4, 14, nil, 2 * time.Second},
					{6, 16, nil, 3 * time.Second},
					{5, 15, nil, 4 * time.Second},
				}, arrivals(q.AsCompleted(t.Context(), await.Limit(2))))
				require.EqualValues(t, 7, c.started.Load(), "nothing runs twice")
				require.Zero(t, q.Len())
			})
		})
		t.Run("results that waited, when the loop is left by "+x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c counter
				q := queueOf(c.wrap(instant(20)...)...)
				x.leave(q.AsCompleted(t.Context(), await.Limit(2), await.Buffer(3)), func() {
					synctest.Wait() // until the buffer is full
				})
				require.EqualValues(t, 1+2+3, c.started.Load())
				require.Equal(t, 19, q.Len())
				got := arrivals(q.AsCompleted(t.Context()))
				require.Len(t, got, 19)
				early := keysOf(got)[:2+3]
				require.Subset(t, []int{0, 1, 2, 3, 4, 5}, early, "they come first") // the loop had one of 0 and 1
				for _, r := range got {
					require.Equal(t, arrival{r.key, r.key, nil, 0}, r)
				}
				require.Len(t, slices.Compact(slices.Sorted(slices.Values(keysOf(got)))), 19)
				require.EqualValues(t, 20, c.started.Load())
			})
		})
	}
	t.Run("errors, Goexits and recovered panics that waited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(tasktest.Deaf(500*time.Millisecond, 0), tasktest.Failing[int](time.Second, tasktest.ErrBoom), tasktest.Exiting[int](2*time.Second), exploding(3*time.Second, "boom"))
			for range q.AsCompleted(t.Context(), await.Recover()) {
				break
			}
			got := arrivals(q.AsCompleted(t.Context()))
			require.Equal(t, []int{1, 2, 3}, keysOf(got))
			require.Equal(t, tasktest.ErrBoom, got[0].err)
			require.Equal(t, await.ErrGoexit, got[1].err)
			requirePanicError(t, got[2].err, 3, "boom")
		})
	})
	t.Run("results through many loops, each of which takes one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c counter
			q := queueOf(c.wrap(instant(40)...)...)
			var got []int
			for q.Len() > 0 {
				for key, r := range q.AsCompleted(t.Context(), await.Limit(3)) {
					require.Equal(t, key, r.Value)
					got = append(got, key)
					break
				}
			}
			require.Len(t, got, 40)
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(got))), 40)
			require.EqualValues(t, 40, c.started.Load())
		})
	})
	// The first loop leaves 6 results. In the second one they fill limit and
	// buffer, 1 + 2, until half of them are read.
	t.Run("results that count towards the limit and the buffer of the next loop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var c counter
			q := queueOf(c.wrap(instant(20)...)...)
			for range q.AsCompleted(t.Context(), await.Limit(4), await.Buffer(2)) {
				synctest.Wait()
				break
			}
			require.EqualValues(t, 1+4+2, c.started.Load())
			read := 0
			for range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(2)) {
				synctest.Wait()
				read++
				kept, started := max(6-read, 0), int(c.started.Load())-7
				unread := kept + started - max(read-6, 0)
				require.Equal(t, min(max(kept, 1+2), 19-read), unread, "after %d results", read)
			}
			require.Equal(t, 19, read)
		})
	})
	t.Run("results for a loop whose context has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(instant(5)...)
			for range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(1)) {
				synctest.Wait()
				break
			}
			require.Equal(t, []arrival{{1, 1, nil, 0}, {2, 2, nil, 0}}, arrivals(q.AsCompleted(endsAfter(t, 0))))
			require.Equal(t, []int{3, 4}, keysOf(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
		})
	})
	t.Run("what First does not need", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(slices.Concat([]await.Task[int]{tasktest.Failing[int](time.Second, tasktest.ErrBoom)}, seconds(1, 1, 1, 1))...)
			key, _, err := await.First(q.AsCompleted(t.Context(), await.Limit(1)))
			require.NoError(t, err)
			require.Equal(t, 1, key)
			require.Equal(t, []int{2, 3, 4}, keysOf(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
			_, _, err = await.First(q.AsCompleted(t.Context()))
			require.Equal(t, await.ErrNoTasks, err)
		})
	})
	t.Run("nothing of a break at the last result", func(t *testing.T) {
		q := queueOf(tasktest.Deaf(0, 0))
		for range q.AsCompleted(t.Context()) {
			break
		}
		require.Zero(t, q.Len())
		require.Empty(t, arrivals(q.AsCompleted(t.Context())))
	})
}

func TestQueueContext(t *testing.T) {
	t.Run("has ended, so nothing starts and everything stays", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			var c counter
			q := queueOf(c.wrap(seconds(1, 1, 1)...)...)
			for range 3 {
				require.Empty(t, arrivals(q.AsCompleted(endsAfter(t, 0), opts...)))
				require.Equal(t, 3, q.Len())
			}
			require.Zero(t, c.started.Load())
			require.ElementsMatch(t, []int{0, 1, 2}, keysOf(arrivals(q.AsCompleted(t.Context(), opts...))))
		})
	})
	// Two run at a time. The context ends at second 3, when task 0 has returned,
	// task 1 obeys it, task 2 does not, and tasks 3 to 5 have not started.
	for _, e := range endings {
		t.Run("ends, so the running tasks are yielded and the rest stays: "+e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := e.end(t.Context(), 3*time.Second)
				defer cancel()
				var c counter
				q := queueOf(c.wrap(slices.Concat([]await.Task[int]{
					tasktest.Deaf(1*time.Second, 10), tasktest.After(time.Hour, 11), tasktest.Deaf(9*time.Second, 12),
				}, seconds(1, 1, 1))...)...)
				start := time.Now()
				require.Equal(t, []arrival{
					{0, 10, nil, 1 * time.Second},
					{1, 0, e.cause, 3 * time.Second},
					{2, 12, nil, 10 * time.Second},
				}, arrivals(q.AsCompleted(ctx, await.Limit(2))))
				require.Equal(t, 10*time.Second, time.Since(start))
				require.EqualValues(t, 3, c.started.Load())
				require.Equal(t, 3, q.Len())
				require.Equal(t, []int{3, 4, 5}, keysOf(arrivals(q.AsCompleted(t.Context(), await.Limit(1)))))
			})
		})
	}
	t.Run("ends in the body, and what had finished is yielded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var c counter
			q := queueOf(c.wrap(instant(10)...)...)
			got := 0
			for _, r := range q.AsCompleted(ctx, await.Limit(2), await.Buffer(1)) {
				require.NoError(t, r.Err)
				synctest.Wait() // until the buffer is full
				cancel()
				got++
			}
			require.Equal(t, 1+2+1, got)
			require.EqualValues(t, got, c.started.Load())
			require.Equal(t, 10-got, q.Len())
		})
	})
	t.Run("ends in a task, whose result still counts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			q := queueOf(tasktest.Deaf(0, 0), func(context.Context) (int, error) { cancel(); return 1, nil }, tasktest.Deaf(0, 2))
			require.Equal(t, []arrival{{0, 0, nil, 0}, {1, 1, nil, 0}}, arrivals(q.AsCompleted(ctx, await.Limit(1))))
			require.Equal(t, 1, q.Len())
		})
	})
	t.Run("ends a loop to which tasks add without end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			added := 0 // under Limit(1), so it needs no lock
			var task await.Task[int]
			add := func() { q.Add(added, task); added++ }
			task = func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				add()
				add()
				return 0, ctx.Err()
			}
			add()
			yielded := len(arrivals(q.AsCompleted(endsAfter(t, time.Minute), await.Limit(1))))
			require.InDelta(t, 60, yielded, 1) // the last one ends with the context
			require.Equal(t, added, yielded+q.Len())
		})
	})
	// Its end may reach the queue late, on a goroutine of its own.
	t.Run("of one loop does not end a later one", func(t *testing.T) {
		eachQueueOptionForReal(t, func(t *testing.T, opts []await.Option) {
			for range 200 {
				q := queueOf(instant(5)...)
				ctx, cancel := context.WithCancel(t.Context())
				for range q.AsCompleted(ctx, opts...) {
					cancel()
					break
				}
				cancel()
				arrivals(q.AsCompleted(t.Context(), opts...))
				require.Zero(t, q.Len())
			}
		})
	})
}

func TestQueuePanic(t *testing.T) {
	// At second 2 task 2 panics. Task 3 obeys its context, task 4 does not and
	// even adds, and the result of task 1 waits, because the body sleeps.
	t.Run("that is raised is the result of its Add, and the rest is kept", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var q await.Queue[int, int]
			var c counter
			var cause error
			for i, task := range c.wrap(
				tasktest.Deaf(1*time.Second, 0),
				tasktest.Deaf(1500*time.Millisecond, 1),
				exploding(2*time.Second, tasktest.ErrBoom),
				lingering(0, &cause),
				func(context.Context) (int, error) {
					time.Sleep(20 * time.Second)
					q.Add(100, tasktest.Deaf(time.Second, 100))
					return 4, nil
				},
				tasktest.Deaf(10*time.Second, 5),
				tasktest.Deaf(10*time.Second, 6),
				tasktest.Deaf(1*time.Second, 7),
			) {
				q.Add(i, task)
			}
			var yielded []int
			raised := raisedBy(t, func() {
				for key := range q.AsCompleted(t.Context(), await.Limit(5)) {
					yielded = append(yielded, key)
					time.Sleep(5 * time.Second)
				}
			})
			requirePanicError(t, raised, 2, tasktest.ErrBoom)
			require.Same(t, raised, cause)
			require.Equal(t, []int{0}, yielded, "the panic is ahead of results that wait")
			require.Equal(t, 20*time.Second, time.Since(start))

			require.Equal(t, 1+3+2+1, q.Len())
			got := arrivals(q.AsCompleted(t.Context(), await.Limit(1)))
			require.Equal(t, []int{1, 3}, keysOf(got)[:2])
			require.ElementsMatch(t, []int{5, 6, 4}, keysOf(got)[2:5])
			require.Equal(t, []arrival{{7, 7, nil, time.Second}, {100, 100, nil, 2 * time.Second}}, got[5:])
			require.EqualValues(t, 8, c.started.Load(), "nothing runs twice")
		})
	})
	for _, x := range exits {
		if x.name == "panic" || x.name == "runtime.Goexit" {
			continue // these end in another way: see the tests of AsCompleted
		}
		t.Run("is raised also when the loop was left by "+x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queueOf(tasktest.Deaf(1*time.Second, 0), exploding(2*time.Second, "boom"), tasktest.Deaf(9*time.Second, 2), tasktest.Deaf(1*time.Second, 3))
				raised := raisedBy(t, func() {
					x.leave(q.AsCompleted(t.Context(), await.Limit(2)), func() {
						synctest.Wait() // until the third runs
					})
				})
				requirePanicError(t, raised, 1, "boom")
				require.Equal(t, []int{2, 3}, keysOf(arrivals(q.AsCompleted(t.Context()))))
			})
		})
	}
	t.Run("of several tasks is the result of each, raised together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(exploding(time.Second, "<first>"), exploding(2*time.Second, "<second>"), tasktest.Deaf(0, 2))
			raised := raisedBy(t, func() { arrivals(q.AsCompleted(t.Context())) })
			require.ErrorContains(t, raised, "<first>")
			require.ErrorContains(t, raised, "<second>")
			require.Zero(t, q.Len())
		})
	})
	t.Run("that is recovered is a result, and what its task added is run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var q await.Queue[int, int]
			q.Add(0, func(ctx context.Context) (int, error) {
				q.Add(1, tasktest.Deaf(3*time.Second, 1))
				return exploding(time.Second, "boom")(ctx)
			})
			got := arrivals(q.AsCompleted(t.Context(), await.Recover()))
			requirePanicError(t, got[0].err, 0, "boom")
			require.Equal(t, []arrival{{1, 1, nil, 3 * time.Second}}, got[1:])
		})
	})
	t.Run("leaves no goroutine, and nothing undone", func(t *testing.T) {
		for range rounds(1000) {
			var c counter
			q := queueOf(c.wrap(slices.Concat(tasktest.Copies(5, tasktest.After(time.Hour, 0)), []await.Task[int]{exploding(0, "boom")}, instant(5))...)...)
			tasktest.PanicOf(t, func() { arrivals(q.AsCompleted(t.Context(), await.Limit(7))) })
			require.Zero(t, c.running.Load())
			require.LessOrEqual(t, len(arrivals(q.AsCompleted(t.Context()))), 10)
			require.EqualValues(t, 11, c.started.Load())
		}
		tasktest.RequireNoWorkers(t)
	})
}

func TestQueueSecondLoop(t *testing.T) {
	requireBusy := func(t *testing.T, loop func()) {
		t.Helper()
		requireBadInput(t, "another loop", loop)
	}
	t.Run("panics, wherever it is, and the first goes on", func(t *testing.T) {
		eachQueueOption(t, func(t *testing.T, opts []await.Option) {
			var q await.Queue[int, int]
			second := func() {
				requireBusy(t, func() {
					for range q.AsCompleted(t.Context(), opts...) {
						t.Error("the second loop yields")
					}
				})
			}
			for i, task := range seconds(1, 2, 3, 4) {
				q.Add(i, task)
			}
			q.Add(4, func(context.Context) (int, error) { second(); return 4, nil }) // in a task
			tried := make(chan struct{})
			go func() { // on another goroutine
				defer close(tried)
				time.Sleep(2500 * time.Millisecond)
				second()
			}()
			var got []int
			for key, r := range q.AsCompleted(t.Context(), opts...) {
				require.NoError(t, r.Err)
				second() // in the body
				if got = append(got, key); len(got) == 5 {
					q.Add(5, tasktest.Deaf(time.Second, 5))
				}
			}
			<-tried
			require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5}, got)
			q.Add(6, tasktest.Deaf(time.Second, 6))
			require.Equal(t, []int{6}, keysOf(arrivals(q.AsCompleted(t.Context(), opts...))), "the queue is usable")
		})
	})
	t.Run("leaves nothing with its context", func(t *testing.T) {
		q := queueOf(tasktest.Deaf(0, 0))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range q.AsCompleted(t.Context()) {
			before := heapInUse()
			for range 3000 {
				requireBusy(t, func() { arrivals(q.AsCompleted(ctx)) })
			}
			require.Less(t, heapInUse()-before, 100<<10)
		}
	})
	t.Run("that panics inside the first ends the first as any panic does", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(seconds(1, 5, 1)...)
			start := time.Now()
			requireBusy(t, func() {
				for range q.AsCompleted(t.Context(), await.Limit(2)) {
					arrivals(q.AsCompleted(t.Context()))
				}
			})
			require.Equal(t, 5*time.Second, time.Since(start))
			require.Equal(t, 2, q.Len())
			require.Len(t, arrivals(q.AsCompleted(t.Context())), 2)
		})
	})
	t.Run("is one from the first call of iter.Pull2's next on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(seconds(1, 2)...)
			first, stopFirst := iter.Pull2(q.AsCompleted(t.Context()))
			second, stopSecond := iter.Pull2(q.AsCompleted(t.Context())) // not yet a loop
			_, _, ok := first()
			require.True(t, ok)
			requireBusy(t, func() { second() })
			stopSecond()
			_, _, ok = first()
			require.True(t, ok)
			_, _, ok = first()
			require.False(t, ok)
			stopFirst()
		})
	})
	t.Run("panics also when both begin at once", func(t *testing.T) {
		for range rounds(500) {
			const n, loops = 20, 4
			var c counter
			q := queueOf(c.wrap(instant(n)...)...)
			var yielded, refused atomic.Int64
			var group sync.WaitGroup
			for range loops {
				group.Go(func() {
					defer func() {
						if recover() != nil {
							refused.Add(1)
						}
					}()
					for range q.AsCompleted(t.Context(), await.Limit(2)) {
						yielded.Add(1)
					}
				})
			}
			group.Wait()
			require.EqualValues(t, n, yielded.Load())
			require.EqualValues(t, n, c.started.Load())
			require.Less(t, refused.Load(), int64(loops))
			require.Zero(t, q.Len())
		}
		tasktest.RequireNoWorkers(t)
	})
}

// growingQueue is random work that makes more work, up to a number of tasks. A
// task's key is the order in which it was added.
type growingQueue struct {
	await.Queue[int, int]
	seed  uint64
	added atomic.Int64
	runs  []atomic.Int32 // of each task
}

func newGrowingQueue(seed uint64, most int) *growingQueue {
	return &growingQueue{seed: seed, runs: make([]atomic.Int32, most)}
}

// add adds the next task, if there may be one.
func (g *growingQueue) add() {
	if key := int(g.added.Add(1) - 1); key < len(g.runs) {
		g.Add(key, func(context.Context) (int, error) { return g.task(key) })
	}
}

// keys counts the tasks that were added.
func (g *growingQueue) keys() int { return min(int(g.added.Load()), len(g.runs)) }

func (g *growingQueue) task(key int) (int, error) {
	g.runs[key].Add(1)
	rng := rand.New(rand.NewPCG(g.seed, uint64(key)))
	for range rng.IntN(5) {
		switch rng.IntN(4) {
		case 0:
			runtime.Gosched()
		case 1:
			var group sync.WaitGroup
			group.Go(g.add)
			group.Wait()
		default:
			g.add()
		}
	}
	switch rng.IntN(6) {
	case 0:
		runtime.Goexit()
	case 1:
		return key, tasktest.ErrBoom
	case 2:
		runtime.Gosched()
	}
	return key, nil
}

// On real goroutines.
func TestQueueYieldsEachAddOnce(t *testing.T) {
	t.Run("however it grows", func(t *testing.T) {
		eachQueueOptionForReal(t, func(t *testing.T, opts []await.Option) {
			for round := range rounds(200) {
				g := newGrowingQueue(uint64(round), 1+round%50)
				g.add()
				yields := make([]int, len(g.runs))
				for key := range g.AsCompleted(t.Context(), opts...) {
					yields[key]++
					if key%5 == 0 {
						g.add()
					}
				}
				require.Zero(t, g.Len())
				for key := range g.keys() {
					require.EqualValues(t, 1, g.runs[key].Load(), "runs of task %d", key)
					require.Equal(t, 1, yields[key], "yields of task %d", key)
				}
			}
		})
	})
	t.Run("however often its loop is left, or its context ends", func(t *testing.T) {
		for name, opts := range queueOptions() {
			t.Run(name, func(t *testing.T) {
				for round := range rounds(100) {
					g := newGrowingQueue(uint64(round), 40)
					g.add()
					rng := rand.New(rand.NewPCG(17, uint64(round)))
					yields := make([]int, len(g.runs))
					for loops := 0; g.Len() > 0; loops++ {
						require.Less(t, loops, 100_000, "a task never runs")
						ctx := t.Context()
						if loops%2 == 1 { // not always: with a single thread it may end before any task starts
							ctx = tasktest.EndingSoon(ctx, 50_000)
						}
						for key := range g.AsCompleted(ctx, opts...) {
							yields[key]++
							g.add()
							if rng.IntN(4) == 0 {
								break
							}
						}
					}
					for key := range g.keys() {
						require.EqualValues(t, 1, g.runs[key].Load(), "runs of task %d", key)
						require.Equal(t, 1, yields[key], "yields of task %d", key)
					}
				}
				tasktest.RequireNoWorkers(t)
			})
		}
	})
	// A task that is added while the loop comes to its end is either yielded or
	// left in the queue. It must not start and then be cut off by the end.
	t.Run("when it is added while the loop ends", func(t *testing.T) {
		eachQueueOptionForReal(t, func(t *testing.T, opts []await.Option) {
			for range rounds(100) {
				const producers, n = 3, 10
				var q await.Queue[int, int]
				var group sync.WaitGroup
				for p := range producers {
					group.Go(func() {
						for i := range n {
							q.Add(p*n+i, tasktest.Deaf(0, 0))
							if i%3 == 0 {
								runtime.Gosched()
							}
						}
					})
				}
				done := make(chan struct{})
				go func() { group.Wait(); close(done) }()
				yields := make([]int, producers*n)
				for last := false; !last; runtime.Gosched() {
					select {
					case <-done:
						last = true
					default:
					}
					for key := range q.AsCompleted(t.Context(), opts...) {
						yields[key]++
					}
				}
				require.Equal(t, slices.Repeat([]int{1}, producers*n), yields)
			}
		})
	})
	// One of two workers keeps the loop going. A task is added at about the
	// moment when the other one finds nothing to do: somebody has to run it.
	t.Run("when it is added as a worker leaves", func(t *testing.T) {
		n := rounds(50_000)
		var q await.Queue[int, int]
		var left atomic.Bool // the last task has all but returned
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range n {
				for !left.CompareAndSwap(true, false) {
					runtime.Gosched()
				}
				for range i % 100 {
					left.Load()
				}
				q.Add(i, func(context.Context) (int, error) { left.Store(true); return 0, nil })
			}
		}()
		q.Add(-1, func(context.Context) (int, error) { left.Store(true); return 0, nil })
		q.Add(-2, func(context.Context) (int, error) { <-done; return 0, nil })
		require.Len(t, arrivals(q.AsCompleted(t.Context(), await.Limit(2))), n+2)
	})
	t.Run("when many end at once", func(t *testing.T) {
		eachQueueOptionForReal(t, func(t *testing.T, opts []await.Option) {
			for range 20 {
				const n = 100
				release := make(chan struct{})
				q := queueOf(tasktest.Copies(n, func(context.Context) (int, error) { <-release; return 0, nil })...)
				go close(release)
				require.Len(t, arrivals(q.AsCompleted(t.Context(), opts...)), n)
			}
		})
	})
}

func TestQueueMemory(t *testing.T) {
	// A million tasks come and go, a few at a time.
	t.Run("stays the same in a steady flow", func(t *testing.T) {
		n := rounds(1_000_000)
		var q await.Queue[int, int]
		start := heapInUse()
		added, yielded := 0, 0
		add := func() {
			if added < n {
				q.Add(added, tasktest.Deaf(0, 0))
				added++
			}
		}
		for range 50 {
			add()
		}
		for range q.AsCompleted(t.Context(), await.Limit(8)) {
			yielded++
			add()
			if yielded%(n/5) == 0 {
				require.Less(t, heapInUse()-start, 1<<20)
			}
		}
		require.Equal(t, n, yielded)
	})
	t.Run("of a task that waits is little, and is given back", func(t *testing.T) {
		n := rounds(1_000_000)
		task := tasktest.Deaf(0, 0)
		var q await.Queue[int, int]
		start := heapInUse()
		for i := range n {
			q.Add(i, task)
		}
		full := heapInUse() - start
		require.Less(t, full, 64*n, "bytes of %d tasks that wait", n)
		require.Len(t, arrivals(q.AsCompleted(t.Context(), await.Limit(8))), n)
		require.Less(t, heapInUse()-start, full/10+1<<16, "bytes that an empty queue keeps")
		runtime.KeepAlive(&q)
	})
	t.Run("of results that waited is given back when the loop has read them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const n = 30_000
			q := queueOf(instant(n)...)
			start := 0
			read := 0
			for range q.AsCompleted(t.Context(), await.Limit(4), await.Buffer(n)) {
				switch read++; read {
				case 1:
					synctest.Wait() // all results wait
					start = heapInUse()
				case n:
					q.Add(n, tasktest.Deaf(time.Second, 0)) // the loop goes on, and waits
				case n + 1:
					require.Less(t, heapInUse(), start-12*n, "the results took 20 bytes each at least")
				}
			}
			require.Equal(t, n+1, read)
		})
	})
	t.Run("of a task and its key is given back when the loop has its result", func(t *testing.T) {
		const n, size = 4000, 4 << 10
		var q await.Queue[*[size]byte, int]
		start := heapInUse()
		for range n {
			held := new([size]byte)
			q.Add(new([size]byte), func(context.Context) (int, error) { return int(held[0]), nil })
		}
		full := heapInUse() - start
		require.Greater(t, full, 2*n*size)
		yielded := 0
		for range q.AsCompleted(t.Context(), await.Limit(1), await.Buffer(0)) {
			yielded++
			if yielded%(n/8) == 0 {
				left := float64(n-yielded) / n
				require.InDelta(t, left*float64(full), float64(heapInUse()-start), 0.05*float64(full))
			}
		}
		require.Equal(t, n, yielded)
		runtime.KeepAlive(&q)
	})
}
