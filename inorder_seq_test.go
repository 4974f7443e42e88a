package await_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What InOrderSeq shares with AsCompletedSeq is tested beside AsCompletedSeq.

func TestInOrderSeqYieldsInTheSequencesOrderAsSoonAsItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 2, nil, 5 * time.Second},
			{3, 3, nil, 5 * time.Second},
			{4, 4, nil, 6 * time.Second},
		}, arrivals(await.InOrderSeq(t.Context(), slices.All(seconds(1, 5, 2, 4, 6)))))
	})
}

// The order is that of the pulls and has nothing to do with the keys.
func TestInOrderSeqDoesNotLookAtTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		for key := range await.InOrderSeq(t.Context(), func(yield func(string, await.Task[int]) bool) {
			_ = yield("c", deaf(3*time.Second, 0)) && yield("a", deaf(1*time.Second, 0)) && yield("a", deaf(2*time.Second, 0)) && yield("b", deaf(0, 0))
		}) {
			got = append(got, key)
		}
		require.Equal(t, []string{"c", "a", "a", "b"}, got)
	})
}

func TestInOrderSeqASlowHeadWithholdsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wellOf(slices.Concat(seconds(60), instant(20))...)
		start := time.Now()
		var got []int
		for i := range await.InOrderSeq(t.Context(), w.seq) {
			require.Equal(t, time.Minute, time.Since(start))
			require.EqualValues(t, w.n, w.started.Load())
			got = append(got, i)
		}
		require.Equal(t, below(w.n), got)
	})
}

// The head of a window of two is done last. Nothing comes until then, and
// without a buffer nothing else starts.
func TestInOrderSeqWithholdsTheSecondOfAWindowOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wellOf(seconds(10, 1, 1, 1)...)
		ended := make(chan []arrival)
		go func() {
			ended <- arrivals(await.InOrderSeq(t.Context(), w.seq, await.Limit(2), await.Buffer(0)))
		}()
		time.Sleep(9 * time.Second)
		require.EqualValues(t, 2, w.started.Load())
		require.EqualValues(t, 1, w.running.Load())
		require.LessOrEqual(t, w.pulled.Load(), int64(3))
		require.Equal(t, []arrival{
			{0, 0, nil, 10 * time.Second},
			{1, 1, nil, 10 * time.Second},
			{2, 2, nil, 11 * time.Second},
			{3, 3, nil, 11 * time.Second},
		}, <-ended)
	})
}

func TestInOrderSeqYieldsInTheSequencesOrderWhateverTheTasksTake(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, opts := range [][]await.Option{
		nil,
		{await.Limit(1)},
		{await.Limit(4)},
		{await.Limit(4), await.Buffer(0)},
		{await.Limit(4), await.Buffer(3)},
		{await.Limit(4), await.Buffer(100)},
	} {
		for range 5 {
			synctest.Test(t, func(t *testing.T) {
				durations, steps := rng.Perm(50), rng.Perm(51)
				w := wellOf(seconds(durations...)...)
				w.step = func(i int) { time.Sleep(time.Duration(steps[i]%3) * time.Second) }
				yielded := 0
				for i, r := range await.InOrderSeq(t.Context(), w.seq, opts...) {
					require.Equal(t, yielded, i)
					require.Equal(t, await.Result[int]{Value: i}, r)
					yielded++
					time.Sleep(time.Duration(rng.IntN(10)) * time.Second)
				}
				require.Equal(t, len(durations), yielded)
				w.requireOver(t)
			})
		}
	}
}

func TestInOrderSeqFailuresKeepTheirPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := arrivals(await.InOrderSeq(t.Context(), slices.All([]await.Task[int]{
			deaf(4*time.Second, 10),
			failing[int](1*time.Second, errBoom),
			exiting[int](2 * time.Second),
			detonating(1*time.Second, "boom"),
			deaf(5*time.Second, 13),
			failing[int](0, errBoom),
		}), await.Recover()))
		requirePanicError(t, got[3].err)
		got[3].err = nil
		require.Equal(t, []arrival{
			{0, 10, nil, 4 * time.Second},
			{1, 0, errBoom, 4 * time.Second},
			{2, 0, await.ErrGoexit, 4 * time.Second},
			{3, 0, nil, 4 * time.Second},
			{4, 13, nil, 5 * time.Second},
			{5, 0, errBoom, 5 * time.Second},
		}, got)
	})
}

// The head takes a hundred seconds and every other task takes one. Between
// two whole seconds, k rounds of the other limit-1 slots are over.
func TestInOrderSeqABlockedHeadHoldsExactlyLimitAndBuffer(t *testing.T) {
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{0, 1, 3, 7} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := wellOf(slices.Concat(seconds(100), copies(50, deaf(time.Second, 0)))...)
					ended := make(chan []int)
					go func() {
						ended <- indices(arrivals(await.InOrderSeq(t.Context(), w.seq, await.Limit(limit), await.Buffer(buffer))))
					}()
					time.Sleep(time.Second / 2)
					for k := range 90 {
						others := min((limit-1)*(k+1), limit-1+buffer)
						busy := max(0, min(limit-1, limit-1+buffer-(limit-1)*k))
						require.EqualValues(t, 1+others, w.started.Load(), "at second %d", k)
						require.EqualValues(t, 1+busy, w.running.Load(), "at second %d", k)
						require.LessOrEqual(t, w.pulled.Load(), int64(1+others+1), "at second %d", k)
						time.Sleep(time.Second)
					}
					if limit > 1 {
						require.EqualValues(t, limit+buffer, w.started.Load())
					}
					require.Equal(t, below(w.n), <-ended)
					w.requireOver(t)
				})
			})
		}
	}
}

// Any task may be the slow one. What is started and not yet yielded is counted
// while the head blocks and nothing moves.
func TestInOrderSeqWhicheverTaskBlocksTheBoundIsExact(t *testing.T) {
	const limit, buffer = 3, 2
	for slow := range 8 {
		t.Run(fmt.Sprint(slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				w := spring(0)
				w.task = func(i int) await.Task[int] {
					if i%8 == slow {
						return func(context.Context) (int, error) { <-release; return i, nil }
					}
					return deaf(0, i)
				}
				w.n = 40
				ended := make(chan struct{})
				yielded := 0
				go func() {
					defer close(ended)
					for i := range await.InOrderSeq(t.Context(), w.seq, await.Limit(limit), await.Buffer(buffer)) {
						assert.Equal(t, yielded, i)
						yielded++
					}
				}()
				for head := slow; head < w.n; head += 8 {
					synctest.Wait()
					require.Equal(t, head, yielded)
					require.EqualValues(t, min(head+limit+buffer, w.n), w.started.Load())
					release <- struct{}{}
				}
				<-ended
				require.Equal(t, w.n, yielded)
			})
		})
	}
}

func TestInOrderSeqAPanicBehindASlowHeadIsRaisedWhenTheHeadHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wellOf(deaf(10*time.Second, 0), panicking[int](time.Second, "boom"))
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range await.InOrderSeq(t.Context(), w.seq) {
				t.Error("the panic is ahead of the head")
			}
		})
		require.Equal(t, 10*time.Second, time.Since(start))
		w.requireOver(t)
	})
}

func TestInOrderSeqAPanicInTheSequenceBehindASlowHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wellOf(deaf(10*time.Second, 0), deaf(time.Second, 1))
		w.step = func(i int) {
			if i == w.n {
				time.Sleep(5 * time.Second)
				detonate("sequence")
			}
		}
		start := time.Now()
		requireRaised(t, "sequence", func() {
			for range await.InOrderSeq(t.Context(), w.seq) {
				t.Error("the panic is ahead of the head")
			}
		})
		require.Equal(t, 10*time.Second, time.Since(start))
		w.requireOver(t)
	})
}

func TestInOrderSeqAPanicInTheMiddleOfARunOfResults(t *testing.T) {
	for name, opts := range map[string][]await.Option{"task": nil, "sequence": {await.Limit(3)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wellOf(
					deaf(2*time.Second, 0),
					deaf(1*time.Second, 1), // withheld until second 2, then next in line
					panicking[int](3*time.Second, "task"),
				)
				if name == "sequence" {
					w.n = 2
					w.step = func(i int) {
						if i == w.n {
							time.Sleep(3 * time.Second)
							detonate("sequence")
						}
					}
				}
				var got []int
				requireRaised(t, name, func() {
					for i := range await.InOrderSeq(t.Context(), w.seq, opts...) {
						got = append(got, i)
						time.Sleep(5 * time.Second)
					}
				})
				require.Equal(t, []int{0}, got)
				w.requireOver(t)
			})
		})
	}
}

func TestInOrderSeqWhenTheContextEndsBehindASlowHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		w := &well{n: endless, task: func(i int) await.Task[int] {
			if i == 0 {
				return after(time.Hour, 0)
			}
			return deaf(time.Second, i)
		}}
		got := arrivals(await.InOrderSeq(ctx, w.seq, await.Limit(2), await.Buffer(1)))
		require.Equal(t, []arrival{
			{0, 0, context.DeadlineExceeded, 3 * time.Second},
			{1, 1, nil, 3 * time.Second},
			{2, 2, nil, 3 * time.Second},
		}, got)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.EqualValues(t, 3, w.started.Load())
		w.requireOver(t)
	})
}

func TestInOrderSeqWithDetachKeepsTheOrderWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errBoom)
		defer cancel()
		w := wellOf(seconds(1, 3600, 2, 3600, 1, 2)...)
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 0, errBoom, 3 * time.Second},
			{2, 2, nil, 3 * time.Second},
			{3, 0, errBoom, 3 * time.Second},
			{4, 4, nil, 3 * time.Second},
			{5, 5, nil, 3 * time.Second},
		}, arrivals(await.InOrderSeq(ctx, w.seq, await.Detach())))
		detachOutlive(2 * time.Hour)
		w.requireOver(t)
	})
}
