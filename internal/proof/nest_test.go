//go:build !explore

package proof_test

import (
	"context"
	"fmt"
	"iter"
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

// A nest is a random tree of calls within one limiter. It counts the leaves
// that run: the tasks that make no call of their own.
type nest struct {
	limiter       *await.Limiter
	running, peak atomic.Int64
}

// task is a random task, with calls down to depth.
func (n *nest) task(seed uint64, depth int) await.Task[int] {
	rng := rand.New(rand.NewPCG(seed, uint64(depth)))
	if depth == 0 || rng.IntN(4) == 0 {
		return n.leaf(rng)
	}
	return func(ctx context.Context) (int, error) {
		var calls sync.WaitGroup
		for range 1 + rng.IntN(3)/2 {
			tasks := make([]await.Task[int], 1+rng.IntN(3))
			for i := range tasks {
				tasks[i] = n.task(rng.Uint64(), depth-1)
			}
			kind, timesOut, opts := rng.IntN(nestKinds), rng.IntN(9) == 0, n.options(rng)
			calls.Go(func() {
				ctx := ctx
				if timesOut {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 2500*time.Millisecond)
					defer cancel()
				}
				nestCall(ctx, kind, tasks, opts)
			})
		}
		calls.Wait()
		return 0, ctx.Err()
	}
}

func (n *nest) options(rng *rand.Rand) []await.Option {
	opts := []await.Option{await.Recover(), await.Within(n.limiter)}
	switch rng.IntN(4) {
	case 0:
		opts = append(opts, await.Limit(1+rng.IntN(3)), await.Buffer(rng.IntN(3)))
	case 1:
		opts = append(opts, await.Limit(1+rng.IntN(3)))
	}
	return opts
}

// leaf is a task of up to three seconds that ends in any way.
func (n *nest) leaf(rng *rand.Rand) await.Task[int] {
	d, end, obeys := time.Duration(rng.IntN(4))*time.Second, rng.IntN(6), rng.IntN(2) == 0
	return func(ctx context.Context) (int, error) {
		running := n.running.Add(1)
		defer n.running.Add(-1)
		for peak := n.peak.Load(); running > peak && !n.peak.CompareAndSwap(peak, running); {
			peak = n.peak.Load()
		}
		if obeys {
			_, _ = tasktest.After(d, 0)(ctx)
		} else {
			time.Sleep(d)
		}
		switch end {
		case 0:
			runtime.Goexit()
		case 1:
			panic("boom")
		case 2:
			return 0, tasktest.ErrBoom
		}
		return 0, nil
	}
}

const nestKinds = 8

// nestCall makes a call of that kind.
func nestCall(ctx context.Context, kind int, tasks []await.Task[int], opts []await.Option) {
	drain := func(results iter.Seq2[int, await.Result[int]]) {
		for range results {
		}
	}
	switch kind {
	case 0:
		drain(await.AsCompleted(ctx, tasks, opts...))
	case 1:
		drain(await.InOrder(ctx, tasks, opts...))
	case 2:
		drain(await.AsCompletedSeq(ctx, slices.All(tasks), opts...))
	case 3:
		drain(await.InOrderSeq(ctx, slices.All(tasks), opts...))
	case 4:
		var queue await.Queue[int, int]
		for i, task := range tasks {
			queue.Add(i, task)
		}
		drain(queue.AsCompleted(ctx, opts...))
	case 5:
		_, _ = await.Gather(ctx, tasks, opts...)
	case 6:
		await.Settle(ctx, tasks, opts...)
	case 7:
		_, _, _ = await.First(await.AsCompleted(ctx, tasks, opts...))
	}
}

// A random nest of calls comes to its end, reaches its limit, never exceeds it,
// and gives all slots back. TestSoak does that on the real scheduler.
func TestNest(t *testing.T) {
	for limit := 1; limit <= 4; limit++ {
		t.Run(fmt.Sprintf("limit %d", limit), func(t *testing.T) {
			reached := false
			for seed := range uint64(40) {
				synctest.Test(t, func(t *testing.T) {
					n := &nest{limiter: await.NewLimiter(limit)}
					var calls sync.WaitGroup
					for i := range uint64(3) {
						calls.Go(func() {
							nestCall(t.Context(), int(seed%nestKinds), []await.Task[int]{n.task(10*seed+i, 4)},
								[]await.Option{await.Within(n.limiter), await.Recover()})
						})
					}
					calls.Wait()
					require.LessOrEqual(t, n.peak.Load(), int64(limit))
					require.Zero(t, n.running.Load())
					reached = reached || n.peak.Load() == int64(limit)

					start := time.Now()
					await.Settle(t.Context(), tasktest.Copies(limit, tasktest.Deaf(time.Second, 0)), await.Within(n.limiter))
					require.Equal(t, time.Second, time.Since(start), "a slot is lost")
				})
			}
			require.True(t, reached, "the limit was never reached")
		})
	}
}
