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
	"github.com/stretchr/testify/require"
)

// What InOrder shares with AsCompleted is tested beside AsCompleted.

func TestInOrderYieldsInInputOrderAsSoonAsItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{0, 0, nil, 1 * time.Second},
			{1, 1, nil, 5 * time.Second},
			{2, 2, nil, 5 * time.Second},
			{3, 3, nil, 5 * time.Second},
			{4, 4, nil, 6 * time.Second},
		}, arrivals(await.InOrder(t.Context(), seconds(1, 5, 2, 4, 6))))
	})
}

func TestInOrderASlowHeadWithholdsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		tasks := c.wrap(slices.Concat(seconds(60), instant(20))...)
		start := time.Now()
		var got []int
		for i := range await.InOrder(t.Context(), tasks) {
			require.Equal(t, time.Minute, time.Since(start))
			require.EqualValues(t, len(tasks), c.started.Load())
			got = append(got, i)
		}
		require.True(t, slices.IsSorted(got))
		require.Len(t, got, len(tasks))
	})
}

func TestInOrderYieldsInInputOrderWhateverTheTasksTake(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, opts := range [][]await.Option{
		nil,
		{await.Limit(1)},
		{await.Limit(4)},
		{await.Limit(4), await.Buffer(0)},
		{await.Limit(4), await.Buffer(3)},
	} {
		for range 5 {
			synctest.Test(t, func(t *testing.T) {
				durations := rng.Perm(50)
				yielded := 0
				for i, r := range await.InOrder(t.Context(), seconds(durations...), opts...) {
					require.Equal(t, yielded, i)
					require.Equal(t, await.Result[int]{Value: i}, r)
					yielded++
					time.Sleep(time.Duration(rng.IntN(10)) * time.Second)
				}
				require.Equal(t, len(durations), yielded)
			})
		}
	}
}

func TestInOrderFailuresKeepTheirPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []arrival{
			{0, 10, nil, 4 * time.Second},
			{1, 0, errBoom, 4 * time.Second},
			{2, 0, await.ErrGoexit, 4 * time.Second},
			{3, 13, nil, 5 * time.Second},
			{4, 0, errBoom, 5 * time.Second},
		}, arrivals(await.InOrder(t.Context(), []await.Task[int]{
			deaf(4*time.Second, 10),
			failing[int](1*time.Second, errBoom),
			exiting[int](2 * time.Second),
			deaf(5*time.Second, 13),
			failing[int](0, errBoom),
		})))
	})
}

// The head takes a hundred seconds and every other task takes one. Between
// two whole seconds, k rounds of the other limit-1 slots are over.
func TestInOrderABlockedHeadHoldsExactlyLimitAndBuffer(t *testing.T) {
	for _, limit := range []int{1, 2, 5} {
		for _, buffer := range []int{0, 1, 3, 7} {
			t.Run(fmt.Sprintf("limit=%d,buffer=%d", limit, buffer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var c census
					tasks := c.wrap(slices.Concat(seconds(100), copies(50, deaf(time.Second, 0)))...)
					ended := make(chan []int)
					go func() {
						ended <- indices(arrivals(await.InOrder(t.Context(), tasks, await.Limit(limit), await.Buffer(buffer))))
					}()
					time.Sleep(time.Second / 2)
					for k := range 90 {
						others := min((limit-1)*(k+1), limit-1+buffer)
						if limit == 1 {
							others = 0
						}
						busy := max(0, min(limit-1, limit-1+buffer-(limit-1)*k))
						require.EqualValues(t, 1+others, c.started.Load(), "at second %d", k)
						require.EqualValues(t, 1+busy, c.running.Load(), "at second %d", k)
						time.Sleep(time.Second)
					}
					if limit > 1 {
						require.EqualValues(t, limit+buffer, c.started.Load())
					}
					got := <-ended
					require.True(t, slices.IsSorted(got))
					require.Len(t, got, len(tasks))
				})
			})
		}
	}
}

func TestInOrderAPanicBehindASlowHeadIsRaisedWhenTheHeadHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		requireRaised(t, "boom", func() {
			for range await.InOrder(t.Context(), []await.Task[int]{
				deaf(10*time.Second, 0),
				panicking[int](time.Second, "boom"),
			}) {
				t.Error("the panic is ahead of the head")
			}
		})
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestInOrderAPanicInTheMiddleOfARunOfResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		requireRaised(t, "boom", func() {
			for i := range await.InOrder(t.Context(), []await.Task[int]{
				deaf(2*time.Second, 0),
				deaf(1*time.Second, 1), // withheld until second 2, then next in line
				panicking[int](3*time.Second, "boom"),
			}) {
				got = append(got, i)
				time.Sleep(5 * time.Second)
			}
		})
		require.Equal(t, []int{0}, got)
	})
}

func TestInOrderWhenTheContextEndsBehindASlowHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c census
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		tasks := c.wrap(slices.Concat([]await.Task[int]{after(time.Hour, 0)}, copies(9, deaf(time.Second, 7)))...)
		got := arrivals(await.InOrder(ctx, tasks, await.Limit(2), await.Buffer(1)))
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, indices(got))
		require.Equal(t, context.DeadlineExceeded, got[0].err)
		for _, a := range got[1:3] {
			require.NoError(t, a.err)
			require.Equal(t, 7, a.value)
		}
		for _, a := range got[3:] {
			require.ErrorIs(t, a.err, await.ErrNotStarted)
			require.ErrorIs(t, a.err, context.DeadlineExceeded)
		}
		require.EqualValues(t, 3, c.started.Load())
	})
}
