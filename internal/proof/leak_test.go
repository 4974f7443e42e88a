//go:build !explore

package proof_test

import (
	"bytes"
	"context"
	"iter"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/tasktest"
	"github.com/stretchr/testify/require"
)

// The runtime finds goroutines that are blocked forever, because nothing that
// could wake them is reachable anymore. Go 1.27 has that profile, and 1.26 as
// an experiment; elsewhere this test is skipped.
func TestLeak(t *testing.T) {
	if pprof.Lookup("goroutineleak") == nil {
		t.Skip("this Go has no profile of leaked goroutines")
	}
	t.Run("a leak is seen", testLeakIsSeen)

	tasks := []await.Task[int]{tasktest.Deaf(0, 1), untilDone, untilDone}
	fails := []await.Task[int]{untilDone, tasktest.Failing[int](0, tasktest.ErrBoom), untilDone}
	panics := []await.Task[int]{untilDone, tasktest.Panicking[int](0, tasktest.ErrBoom), untilDone}
	exits := []await.Task[int]{tasktest.Exiting[int](0), tasktest.Deaf(0, 1)}
	limited := await.Limit(1)

	for name, f := range map[string]func(ctx context.Context){
		"break":      func(ctx context.Context) { takeOne(await.AsCompleted(ctx, tasks)) },
		"limit":      func(ctx context.Context) { takeOne(await.AsCompleted(ctx, tasks, limited, await.Buffer(0))) },
		"in order":   func(ctx context.Context) { takeOne(await.InOrder(ctx, tasks)) },
		"gather":     func(ctx context.Context) { _, _ = await.Gather(ctx, fails) },
		"first":      func(ctx context.Context) { _, _, _ = await.First(await.AsCompleted(ctx, tasks)) },
		"goexit":     func(ctx context.Context) { await.Settle(ctx, exits) },
		"sequence":   func(ctx context.Context) { takeOne(await.AsCompletedSeq(ctx, endlessSeq(), limited)) },
		"in order 2": func(ctx context.Context) { takeOne(await.InOrderSeq(ctx, endlessSeq(), limited)) },
		"task panics": func(ctx context.Context) {
			tasktest.PanicOf(t, func() { await.Settle(ctx, panics) })
		},
		"body panics": func(ctx context.Context) {
			tasktest.PanicOf(t, func() {
				for range await.AsCompleted(ctx, tasks) {
					panic(tasktest.ErrBoom)
				}
			})
		},
		"body exits": func(ctx context.Context) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range await.AsCompleted(ctx, tasks) {
					runtime.Goexit()
				}
			}()
			<-done
		},
		"stop": func(ctx context.Context) {
			next, stop := iter.Pull2(await.AsCompleted(ctx, tasks))
			defer stop()
			next()
		},
		"deadline": func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			await.Settle(ctx, tasks, limited)
		},
		"deadline of a sequence": func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			for range await.AsCompletedSeq(ctx, endlessSeq(), limited) {
			}
		},
		"queue": func(ctx context.Context) {
			var queue await.Queue[int, int]
			for i, task := range tasks {
				queue.Add(i, task)
			}
			takeOne(queue.AsCompleted(ctx))
			takeOne(queue.AsCompleted(ctx))
		},
		"limiter": func(ctx context.Context) {
			within := await.Within(await.NewLimiter(1))
			takeOne(await.AsCompleted(ctx, tasks, within))
			takeOne(await.AsCompletedSeq(ctx, endlessSeq(), within))
		},
		"nested": func(ctx context.Context) {
			within := await.Within(await.NewLimiter(1))
			takeOne(await.AsCompleted(ctx, []await.Task[int]{func(ctx context.Context) (int, error) {
				takeOne(await.AsCompleted(ctx, tasks, within))
				return 1, nil
			}, untilDone}, within))
		},
		"detach": func(ctx context.Context) {
			release, ended := make(chan struct{}), make(chan struct{})
			takeOne(await.AsCompleted(ctx, []await.Task[int]{tasktest.Deaf(0, 1), func(context.Context) (int, error) {
				defer close(ended)
				<-release
				return 2, nil
			}}, await.Detach()))
			close(release)
			<-ended
		},
		"detached sequence": func(ctx context.Context) {
			release, ended := make(chan struct{}), make(chan struct{})
			takeOne(await.AsCompletedSeq(ctx, func(yield func(int, await.Task[int]) bool) {
				defer close(ended)
				yield(0, tasktest.Deaf(0, 1))
				<-release
				yield(1, tasktest.Deaf(0, 1))
			}, await.Detach()))
			close(release)
			<-ended
		},
		"OnCancel": func(ctx context.Context) {
			woken := make(chan struct{})
			takeOne(await.AsCompletedSeq(ctx, func(yield func(int, await.Task[int]) bool) {
				yield(0, tasktest.Deaf(0, 1))
				<-woken
			}, await.OnCancel(func() { close(woken) })))
		},
		"OnDiscard": func(ctx context.Context) {
			takeOne(await.AsCompleted(ctx, tasktest.Copies(10, tasktest.Deaf(0, 1)), await.OnDiscard(func(int) {})))
		},
		"sequence and a context that has ended": func(ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			for range await.AsCompletedSeq(ctx, endlessSeq(), limited) {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f(context.WithoutCancel(t.Context())) // else the test's context knows those who wait for it
			require.Empty(t, leaked("await/internal/crew."))
		})
	}
}

// testLeakIsSeen leaves a goroutine behind. It stays: the runtime cannot wake
// one that it has found.
func testLeakIsSeen(t *testing.T) {
	before := len(leaked("testLeakIsSeen"))
	go func() { <-make(chan struct{}) }()
	require.Eventually(t, func() bool { return len(leaked("testLeakIsSeen")) > before }, 5*time.Second, time.Millisecond)
}

// takeOne takes one result and leaves the loop.
func takeOne[K, T any](results iter.Seq2[K, await.Result[T]]) {
	for range results {
		break
	}
}

// untilDone is a task that waits for its context, and for nothing else: a timer
// would know it.
func untilDone(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// endlessSeq is a sequence without an end; every other task waits.
func endlessSeq() iter.Seq2[int, await.Task[int]] {
	return func(yield func(int, await.Task[int]) bool) {
		for yield(0, tasktest.Deaf(0, 1)) && yield(1, untilDone) {
		}
	}
}

// leaked is the stacks of the leaked goroutines with that name in them.
func leaked(name string) (stacks []string) {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutineleak").WriteTo(&all, 2)
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, "(leaked)") && strings.Contains(stack, name) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
